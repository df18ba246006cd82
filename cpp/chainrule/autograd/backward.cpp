#include "chainrule/autograd/backward.h"

#include <algorithm>
#include <queue>

#include "chainrule/core/error.h"

namespace chainrule {
namespace {

GradientOps gradient_ops{};

// A hash table from graph pointers to small numbers, for one pass.
class PointerMap {
 public:
  // The number of `key`, or -1 - `next` after giving it the number `next`.
  int find_or_add(const void* key, int next) {
    if (2 * (count_ + 1) > slots_.size()) grow();
    Slot& slot = slots_[locate(key)];
    if (slot.key) return slot.value;
    slot = {key, next};
    ++count_;
    return -1 - next;
  }
  int find(const void* key) const {
    const Slot& slot = slots_[locate(key)];
    return slot.key ? slot.value : -1;
  }

 private:
  struct Slot {
    const void* key = nullptr;
    int value = 0;
  };

  std::size_t locate(const void* key) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t i = (reinterpret_cast<std::uintptr_t>(key) * 0x9E3779B97F4A7C15ull) >> 20;
    while (slots_[i & mask].key && slots_[i & mask].key != key) ++i;
    return i & mask;
  }
  void grow() {
    std::vector<Slot> old(slots_.size() * 4);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.key) slots_[locate(slot.key)] = slot;
    }
  }

  std::vector<Slot> slots_ = std::vector<Slot>(32);
  std::size_t count_ = 0;
};

void accumulate(Variable& sum, const Variable& grad) {
  sum = sum.defined() ? gradient_ops.accumulate(std::move(sum), grad) : grad;
}

// One run from outputs back to leaves. Everything is kept here until it has succeeded.
class Pass {
 public:
  // For `grad`: only edges that lead to one of `targets` are followed.
  void restrict_to(const std::vector<Variable>& targets, const std::vector<Variable>& outputs) {
    restricted_ = true;
    for (const Variable& target : targets) {
      if (const Ref<Node>& creator = target->creator()) {
        target_nodes_.find_or_add(creator.get(), 0);
      } else {
        target_leaves_.find_or_add(target.impl().get(), 0);
      }
    }
    std::vector<Node*> order;
    PointerMap seen;
    const auto visit = [&](Node* node) {
      if (seen.find_or_add(node, 0) < 0) order.push_back(node);
    };
    for (const Variable& output : outputs) {
      if (output->creator()) visit(output->creator().get());
    }
    for (std::size_t i = 0; i < order.size(); ++i) {
      for (const Edge& edge : order[i]->inputs()) {
        if (edge.node) visit(edge.node.get());
      }
    }
    std::stable_sort(order.begin(), order.end(),
                     [](Node* a, Node* b) { return a->rank() < b->rank(); });
    for (Node* node : order) {
      for (const Edge& edge : node->inputs()) {
        if (leads_to_target(edge)) {
          useful_.find_or_add(node, 0);
          break;
        }
      }
    }
  }

  void seed(const Variable& output, Variable grad) {
    if (const Ref<Node>& creator = output->creator()) {
      accumulate(entry(creator).grads[static_cast<std::size_t>(output->output_index())], grad);
    } else {
      accumulate(leaf(output.impl()), grad);
    }
  }

  void run() {
    std::vector<Variable> input_grads;
    std::vector<char> needed;
    while (!heap_.empty()) {
      const int current = heap_.top().entry;
      heap_.pop();
      // Copied out, because running the node adds entries.
      const Ref<Node> node = entries_[static_cast<std::size_t>(current)].node;
      std::vector<Variable> grads = entries_[static_cast<std::size_t>(current)].grads;
      if (!keep_grads_) entries_[static_cast<std::size_t>(current)].grads.clear();
      if (restricted_ && useful_.find(node.get()) < 0) continue;

      std::vector<Edge>& inputs = node->inputs();
      input_grads.assign(inputs.size(), Variable());
      needed.clear();
      for (const Edge& edge : inputs) needed.push_back(wanted(edge));
      Backward context(*node, grads, input_grads, needed);
      node->backward(context);
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        if (!needed[i] || !input_grads[i].defined()) continue;
        const Edge& edge = inputs[i];
        if (edge.node) {
          accumulate(entry(edge.node).grads[static_cast<std::size_t>(edge.output_index)],
                     input_grads[i]);
        } else {
          accumulate(leaf(edge.leaf), input_grads[i]);
        }
        input_grads[i] = {};
      }
    }
  }

  void keep_grads() { keep_grads_ = true; }

  void commit() {
    for (Leaf& leaf : leaves_) {
      if (leaf.variable->grad().defined()) {
        Variable sum = leaf.variable->grad();
        accumulate(sum, leaf.grad);
        leaf.grad = std::move(sum);
      }
    }
    for (Leaf& leaf : leaves_) leaf.variable->set_grad(std::move(leaf.grad));
    if (keep_grads_) publish();
  }

  // Gives the variables in between their gradients.
  void publish() {
    for (Entry& entry : entries_) {
      for (std::size_t i = 0; i < entry.grads.size(); ++i) {
        if (auto variable = entry.node->output_variable(static_cast<int>(i))) {
          variable->set_grad(entry.grads[i]);
        }
      }
    }
  }

  Variable result(const Variable& target) const {
    if (const Ref<Node>& creator = target->creator()) {
      const int found = numbers_.find(creator.get());
      if (found < 0) return {};
      return entries_[static_cast<std::size_t>(found)]
          .grads[static_cast<std::size_t>(target->output_index())];
    }
    const int found = leaf_numbers_.find(target.impl().get());
    return found < 0 ? Variable() : leaves_[static_cast<std::size_t>(found)].grad;
  }

 private:
  struct Entry {
    Ref<Node> node;
    std::vector<Variable> grads;
  };
  struct Leaf {
    Ref<VariableImpl> variable;
    Variable grad;
  };
  struct Candidate {
    int rank;
    int entry;
    // The highest rank first; among equals the one found first.
    bool operator<(const Candidate& other) const {
      return rank != other.rank ? rank < other.rank : entry > other.entry;
    }
  };

  Entry& entry(const Ref<Node>& node) {
    const int next = static_cast<int>(entries_.size());
    const int found = numbers_.find_or_add(node.get(), next);
    if (found >= 0) return entries_[static_cast<std::size_t>(found)];
    entries_.push_back(
        {node, std::vector<Variable>(static_cast<std::size_t>(node->output_count()))});
    heap_.push({node->rank(), next});
    return entries_.back();
  }

  Variable& leaf(const Ref<VariableImpl>& variable) {
    const int next = static_cast<int>(leaves_.size());
    const int found = leaf_numbers_.find_or_add(variable.get(), next);
    if (found >= 0) return leaves_[static_cast<std::size_t>(found)].grad;
    leaves_.push_back({variable, {}});
    return leaves_.back().grad;
  }

  static bool open(const Edge& edge) {
    if (edge.leaf) return true;
    return edge.node && !edge.node->freed() && !edge.node->output(edge.output_index).cut;
  }
  bool leads_to_target(const Edge& edge) const {
    if (!open(edge)) return false;
    if (edge.leaf) return target_leaves_.find(edge.leaf.get()) >= 0;
    return target_nodes_.find(edge.node.get()) >= 0 || useful_.find(edge.node.get()) >= 0;
  }
  bool wanted(const Edge& edge) const { return restricted_ ? leads_to_target(edge) : open(edge); }

  bool restricted_ = false;
  bool keep_grads_ = false;
  PointerMap target_nodes_;
  PointerMap target_leaves_;
  PointerMap useful_;
  PointerMap numbers_;
  PointerMap leaf_numbers_;
  std::vector<Entry> entries_;
  std::vector<Leaf> leaves_;
  std::priority_queue<Candidate> heap_;
};

Variable start_gradient(const char* op, const Variable& output, double value) {
  const Array& y = output.array();
  if (!is_floating(y.dtype())) {
    throw TypeError(cat("[", op, "] only floating outputs have gradients: got ", y.dtype()));
  }
  if (y.size() != 1) {
    throw ValueError(cat("[", op,
                         "] an output of more than one element needs a gradient to "
                         "start from: got shape ",
                         y.shape(),
                         " and no grad, expected one "
                         "element or grad set"));
  }
  return Variable(gradient_ops.filled(y.shape(), y.dtype(), y.device(), value));
}

}  // namespace

void set_gradient_ops(const GradientOps& ops) { gradient_ops = ops; }

const Variable& Backward::grad(int output) {
  Variable& grad = output_grads_[index(output)];
  if (!grad.defined()) {
    const Node::Output& info = node_.output(output);
    grad = Variable(gradient_ops.filled(info.shape, info.dtype, info.device, 0.0));
  }
  return grad;
}

void Backward::set(int input, Variable grad) {
  if (!needs(input) || !grad.defined()) return;
  const Edge& edge = node_.inputs()[index(input)];
  const auto check = [&](const Shape& shape, Dtype dtype) {
    if (grad.shape() != shape) {
      throw ValueError(cat("[", node_.name(),
                           "] backward gave a gradient of the wrong shape for "
                           "input ",
                           input, ": got ", grad.shape(), ", expected ", shape));
    }
    if (grad.dtype() != dtype) {
      throw TypeError(cat("[", node_.name(),
                          "] backward gave a gradient of the wrong dtype for "
                          "input ",
                          input, ": got ", grad.dtype(), ", expected ", dtype));
    }
  };
  if (edge.node) {
    const Node::Output& info = edge.node->output(edge.output_index);
    check(info.shape, info.dtype);
  } else if (edge.leaf->data().defined()) {
    check(edge.leaf->data().shape(), edge.leaf->data().dtype());
  }
  input_grads_[index(input)] = std::move(grad);
}

Variable Backward::output(const Array& data, int output) {
  if (!backprop_enabled()) return Variable(data);
  if (auto variable = node_.output_variable(output)) {
    if (variable->data().raw() == data.raw()) return Variable(std::move(variable));
  }
  Variable revived(data, true);
  revived->set_creator(Ref<Node>(&node_), output);
  return revived;
}

void backward(const std::vector<Variable>& outputs, const BackwardOptions& options) {
  for (const Variable& output : outputs) {
    if (!output->creator()) {
      throw Error(
          "[backward] this variable has no graph: nothing was recorded for it (recording was off, "
          "no input requires a gradient, or it is an input itself), or its graph was freed by "
          "unchain_backward");
    }
  }
  BackpropMode mode(options.enable_double_backprop);
  Pass pass;
  if (options.retain_grad) pass.keep_grads();
  for (const Variable& output : outputs) {
    Variable grad = output->grad();
    if (!grad.defined()) grad = start_gradient("backward", output, options.loss_scale);
    pass.seed(output, grad);
  }
  pass.run();
  pass.commit();
}

std::vector<Variable> grad(const std::vector<Variable>& outputs,
                           const std::vector<Variable>& inputs,
                           const std::vector<Variable>& grad_outputs,
                           const std::vector<Variable>& grad_inputs,
                           const BackwardOptions& options) {
  const auto check_count = [](const char* what, std::size_t got, std::size_t expected) {
    if (got != 0 && got != expected) {
      throw ValueError(cat("[grad] ", what, ": got ", got, ", expected ", expected, " or none"));
    }
  };
  check_count("number of grad_outputs", grad_outputs.size(), outputs.size());
  check_count("number of grad_inputs", grad_inputs.size(), inputs.size());
  BackpropMode mode(options.enable_double_backprop);
  Pass pass;
  pass.restrict_to(inputs, outputs);
  pass.keep_grads();
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    Variable start = i < grad_outputs.size() ? grad_outputs[i] : Variable();
    if (!start.defined()) start = start_gradient("grad", outputs[i], options.loss_scale);
    if (start.shape() != outputs[i].shape()) {
      throw ValueError(cat("[grad] grad_outputs of the wrong shape: got ", start.shape(),
                           ", expected ", outputs[i].shape()));
    }
    pass.seed(outputs[i], std::move(start));
  }
  pass.run();
  if (options.retain_grad) pass.publish();
  std::vector<Variable> results;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    Variable result = pass.result(inputs[i]);
    if (i < grad_inputs.size() && grad_inputs[i].defined()) {
      Variable sum = grad_inputs[i];
      if (result.defined()) accumulate(sum, result);
      result = std::move(sum);
    }
    results.push_back(std::move(result));
  }
  return results;
}

void unchain_backward(const Variable& variable) {
  std::vector<Ref<Node>> nodes;
  PointerMap seen;
  const auto visit = [&](const Ref<Node>& node) {
    if (node && seen.find_or_add(node.get(), 0) < 0) nodes.push_back(node);
  };
  visit(variable->creator());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Ref<Node> node = nodes[i];
    for (const Edge& edge : node->inputs()) visit(edge.node);
  }
  for (const Ref<Node>& node : nodes) node->free();
}

}  // namespace chainrule
