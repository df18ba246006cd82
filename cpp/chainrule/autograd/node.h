#pragma once

#include <cstdint>
#include <optional>
#include <type_traits>
#include <vector>

#include "chainrule/autograd/mode.h"
#include "chainrule/autograd/variable.h"

namespace chainrule {

class Backward;

// Where a gradient flows to: an output of an earlier node, a leaf variable, or nowhere.
struct Edge {
  Ref<Node> node;
  Ref<VariableImpl> leaf;
  std::int32_t output_index = 0;

  explicit operator bool() const { return node || leaf; }
};

// One recorded operation. Nodes are kept alive by what was computed from them and hold their
// inputs; destruction is a loop, so a chain of any length is freed on a small stack.
class CHAINRULE_API Node : public RefCounted {
 public:
  struct Output {
    Shape shape;
    Dtype dtype;
    Device device;
    VariableImpl* variable;  // not owned; null once it is gone
    bool cut = false;        // unchained: no gradient passes
  };

  explicit Node(const char* name);
  virtual ~Node();
  static void destroy(Node* node);

  const char* name() const { return name_; }
  int rank() const { return rank_; }
  std::vector<Edge>& inputs() { return inputs_; }
  int output_count() const { return static_cast<int>(outputs_.size()); }
  Output& output(int i) { return outputs_[static_cast<std::size_t>(i)]; }
  bool freed() const { return freed_; }

  // Computes the gradients of the inputs that `context.needs`.
  virtual void backward(Backward& context) = 0;

  // Connects; used by record() below. Returns whether any input takes part.
  bool add_input(const Variable& input);
  void add_output(const Variable& output);

  // Drops inputs and whatever was saved: the graph behind this node ends here.
  void free();
  // Lets no more gradient in through this output; frees the node after the last.
  void cut(int output);
  // The variable of an output if somebody still holds it.
  Ref<VariableImpl> output_variable(int output);
  static void forget_output(Node& node, int output, const VariableImpl* variable);

 protected:
  virtual void drop_saved() = 0;

 private:
  const char* name_;
  std::int32_t rank_ = 0;
  bool freed_ = false;
  Node* next_dead_ = nullptr;
  std::vector<Edge> inputs_;
  std::vector<Output> outputs_;
};

template <class F>
class LambdaNode final : public Node {
 public:
  LambdaNode(const char* name, F&& backward) : Node(name), backward_(std::move(backward)) {}
  void backward(Backward& context) override { (*backward_)(context); }

 protected:
  void drop_saved() override { backward_.reset(); }

 private:
  std::optional<F> backward_;
};

inline bool takes_part(const Variable& input) { return input.defined() && input->participates(); }

// Records one operation with one output: returns `y` as a variable whose gradient is computed
// by `backward(Backward&)`. Nothing is kept when recording is off or no input takes part.
template <class F, class... Inputs>
Variable record(const char* name, Array y, F backward, const Inputs&... inputs) {
  if (!backprop_enabled() || !(takes_part(inputs) || ...)) return Variable(std::move(y));
  Variable output(std::move(y), true);
  auto node = make_ref<LambdaNode<F>>(name, std::move(backward));
  node->inputs().reserve(sizeof...(inputs));
  (node->add_input(inputs), ...);
  node->add_output(output);
  return output;
}

// The same for any number of inputs and outputs.
template <class F>
std::vector<Variable> record_many(const char* name,
                                  std::vector<Array> outputs,
                                  F backward,
                                  const std::vector<Variable>& inputs) {
  bool taken = false;
  for (const Variable& input : inputs) taken |= takes_part(input);
  taken &= backprop_enabled();
  std::vector<Variable> result;
  result.reserve(outputs.size());
  for (Array& y : outputs) result.emplace_back(std::move(y), taken);
  if (!taken) return result;
  auto node = make_ref<LambdaNode<F>>(name, std::move(backward));
  for (const Variable& input : inputs) node->add_input(input);
  for (const Variable& output : result) node->add_output(output);
  return result;
}

}  // namespace chainrule
