#include "chainrule/ops/softmax.h"

#include <algorithm>

#include "chainrule/autograd/backward.h"
#include "chainrule/backend/elementwise.h"
#include "chainrule/backend/launch.h"
#include "chainrule/ops/elementwise.h"
#include "chainrule/ops/reduction.h"

namespace chainrule {
namespace {

using SoftmaxKernel = Kernel<SoftmaxFunction>;

SoftmaxKernel softmax_kernel("softmax");
SoftmaxKernel log_softmax_kernel("log_softmax");
SoftmaxKernel softmax_grad_kernel("softmax.grad");
SoftmaxKernel log_softmax_grad_kernel("log_softmax.grad");

constexpr std::int64_t kGrainElements = 8192;

// `g` is there for gradients only.
Array run(const SoftmaxKernel& kernel, const Array& x, const Array* g, int axis) {
  const Array in = axis_operand(x);
  const Array gradient = g ? axis_operand(*g) : Array();
  const Array out(x.shape(), in.dtype(), x.device());
  const SoftmaxPlan plan{axis_plan(x.shape(), axis), in.raw(), gradient.raw(), out.raw()};
  const auto function = kernel.get(x.device(), in.dtype());
  launch(x.device(), plan.axis.units(), axis_grain(plan.axis),
         [&](std::int64_t begin, std::int64_t end) { function(plan, begin, end); });
  return as_dtype(out, x.dtype());
}

int checked_axis(const char* op, const Variable& x, std::int64_t axis) {
  if (!is_floating(x.dtype())) {
    throw TypeError(cat("[", op, "] got ", x.dtype(), ", expected floating point numbers"));
  }
  return normalize_axis(op, axis, x.ndim());
}

}  // namespace

AxisPlan axis_plan(const Shape& shape, int axis) {
  AxisPlan plan{1, shape[axis], 1};
  for (int i = 0; i < axis; ++i) plan.outer *= shape[i];
  for (int i = axis + 1; i < shape.size(); ++i) plan.inner *= shape[i];
  return plan;
}

std::int64_t axis_grain(const AxisPlan& axis) {
  const std::int64_t unit = axis.length * std::min(axis.inner, AxisPlan::kColumns);
  return std::max<std::int64_t>(1, kGrainElements / std::max<std::int64_t>(1, unit));
}

Array axis_operand(const Array& x) {
  return as_contiguous(is_half(x.dtype()) ? as_dtype(x, Dtype::float32) : x);
}

Variable softmax(const Variable& x, std::int64_t axis) {
  const int at = checked_axis("softmax", x, axis);
  const Array y = run(softmax_kernel, x.array(), nullptr, at);
  return record(
      "softmax", y,
      [y, at](Backward& b) {
        const Variable& g = b.grad();
        if (!backprop_enabled()) {
          b.set(0, Variable(run(softmax_grad_kernel, y, &g.array(), at)));
          return;
        }
        const Variable out = b.output(y);
        b.set(0, multiply(out, subtract(g, sum(multiply(g, out), {at}, true))));
      },
      x);
}

Variable log_softmax(const Variable& x, std::int64_t axis) {
  const int at = checked_axis("log_softmax", x, axis);
  const Array y = run(log_softmax_kernel, x.array(), nullptr, at);
  return record(
      "log_softmax", y,
      [y, at](Backward& b) {
        const Variable& g = b.grad();
        if (!backprop_enabled()) {
          b.set(0, Variable(run(log_softmax_grad_kernel, y, &g.array(), at)));
          return;
        }
        b.set(0, subtract(g, multiply(exp(b.output(y)), sum(g, {at}, true))));
      },
      x);
}

}  // namespace chainrule
