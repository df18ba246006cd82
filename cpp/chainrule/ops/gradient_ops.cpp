#include "chainrule/autograd/backward.h"
#include "chainrule/backend/elementwise.h"
#include "chainrule/ops/elementwise.h"

// Gives the backward engine the addition it sums gradients with.
namespace chainrule {
namespace {

Variable accumulate(Variable a, const Variable& b) {
  const Array& sum = a.array();
  if (!backprop_enabled() && a.impl()->use_count() == 1 && sum.is_sole_owner() &&
      !sum.has_repeats() && sum.dtype() == b.dtype() && sum.shape() == b.shape()) {
    static const auto* kernel = static_cast<const ElementwiseKernel*>(KernelBase::find("add"));
    run_elementwise(*kernel, sum.dtype(), sum, {&sum, &b.array()});
    return a;
  }
  return add(a, b);
}

[[maybe_unused]] const bool installed = (set_gradient_ops({accumulate, filled}), true);

}  // namespace
}  // namespace chainrule
