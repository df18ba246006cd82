#include "chainrule/autograd/node.h"

#include <algorithm>
#include <atomic>

namespace chainrule {
namespace {

std::atomic<std::int64_t> live_nodes{0};

// Guards every weak pointer from a node to the variable of an output: a variable may be let go
// by one thread while another asks for it. Held for a few instructions.
class OutputLock {
 public:
  OutputLock() {
    while (flag_.test_and_set(std::memory_order_acquire)) {
    }
  }
  ~OutputLock() { flag_.clear(std::memory_order_release); }

 private:
  static inline std::atomic_flag flag_ = ATOMIC_FLAG_INIT;
};

thread_local Node* dead_nodes = nullptr;
thread_local bool burying = false;

}  // namespace

std::int64_t live_node_count() { return live_nodes; }

Node::Node(const char* name) : name_(name) { live_nodes.fetch_add(1, std::memory_order_relaxed); }

Node::~Node() { live_nodes.fetch_sub(1, std::memory_order_relaxed); }

// Deleting a node lets go of its inputs, which may be the last reference to their nodes: those
// are queued here instead of being deleted one inside the other.
void Node::destroy(Node* node) {
  node->next_dead_ = dead_nodes;
  dead_nodes = node;
  if (burying) return;
  burying = true;
  while (dead_nodes) {
    Node* next = dead_nodes;
    dead_nodes = next->next_dead_;
    delete next;
  }
  burying = false;
}

bool Node::add_input(const Variable& input) {
  Edge edge;
  if (takes_part(input)) {
    if (const Ref<Node>& creator = input->creator()) {
      edge.node = creator;
      edge.output_index = input->output_index();
      rank_ = std::max(rank_, creator->rank_ + 1);
    } else {
      edge.leaf = input.impl();
    }
  }
  inputs_.push_back(std::move(edge));
  return static_cast<bool>(inputs_.back());
}

void Node::add_output(const Variable& output) {
  const Array& data = output.array();
  output->set_creator(Ref<Node>(this), output_count());
  outputs_.push_back({data.shape(), data.dtype(), data.device(), output.impl().get()});
}

void Node::free() {
  freed_ = true;
  std::vector<Edge> inputs = std::move(inputs_);
  inputs_.clear();
  drop_saved();
}

void Node::cut(int output) {
  outputs_[static_cast<std::size_t>(output)].cut = true;
  if (std::all_of(outputs_.begin(), outputs_.end(), [](const Output& o) { return o.cut; })) free();
}

Ref<VariableImpl> Node::output_variable(int output) {
  OutputLock lock;
  VariableImpl* variable = outputs_[static_cast<std::size_t>(output)].variable;
  return variable && variable->try_retain() ? Ref<VariableImpl>::adopt(variable) : nullptr;
}

void Node::forget_output(Node& node, int output, const VariableImpl* variable) {
  OutputLock lock;
  Output& slot = node.outputs_[static_cast<std::size_t>(output)];
  if (slot.variable == variable) slot.variable = nullptr;
}

}  // namespace chainrule
