#pragma once

#include <vector>

#include "chainrule/autograd/node.h"

namespace chainrule {

// What a node's backward sees: gradients of its outputs in, gradients of its inputs out.
class CHAINRULE_API Backward {
 public:
  // `input_grads` has one entry per input; `needed` tells which of them are wanted.
  Backward(Node& node,
           std::vector<Variable>& output_grads,
           std::vector<Variable>& input_grads,
           const std::vector<char>& needed)
      : node_(node), output_grads_(output_grads), input_grads_(input_grads), needed_(needed) {}

  bool needs(int input) const { return needed_[index(input)] != 0; }
  bool has_grad(int output = 0) const { return output_grads_[index(output)].defined(); }
  // Zeros where nothing flowed into this output.
  const Variable& grad(int output = 0);
  void set(int input, Variable grad);

  // An output of the node, given its data (which is all a backward function may keep of it),
  // connected to the graph so that it can be differentiated again.
  Variable output(const Array& data, int output = 0);
  Node& node() { return node_; }

 private:
  static std::size_t index(int i) { return static_cast<std::size_t>(i); }

  Node& node_;
  std::vector<Variable>& output_grads_;
  std::vector<Variable>& input_grads_;
  const std::vector<char>& needed_;
};

struct BackwardOptions {
  bool retain_grad = false;
  bool enable_double_backprop = false;
  double loss_scale = 1.0;
};

// Accumulates d(outputs)/d(leaf) into the gradient of every leaf. An output of one element
// without a gradient starts from one (times the loss scale). If anything throws, no gradient
// of any variable has changed.
CHAINRULE_API void backward(const std::vector<Variable>& outputs, const BackwardOptions& options);

// The gradients of `outputs` with respect to `inputs`, undefined where there is no path.
// Only the nodes between them are run. `grad_inputs` are added to the result where given.
CHAINRULE_API std::vector<Variable> grad(const std::vector<Variable>& outputs,
                                         const std::vector<Variable>& inputs,
                                         const std::vector<Variable>& grad_outputs,
                                         const std::vector<Variable>& grad_inputs,
                                         const BackwardOptions& options);

// Cuts the graph behind `variable` and frees it.
CHAINRULE_API void unchain_backward(const Variable& variable);

// Addition of gradients and the value one, provided by ops (which stand above this layer).
struct GradientOps {
  // May write into `a` where nothing else can see it and recording is off.
  Variable (*accumulate)(Variable a, const Variable& b);
  Array (*filled)(const Shape& shape, Dtype dtype, Device device, double value);
};
CHAINRULE_API void set_gradient_ops(const GradientOps& ops);

}  // namespace chainrule
