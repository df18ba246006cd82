#include "chainrule/autograd/backward.h"
#include "chainrule/backend/elementwise.h"
#include "chainrule/ops/elementwise.h"
#include "chainrule/ops/manipulation.h"
#include "chainrule/ops/reduction.h"

namespace chainrule {
namespace {

ElementwiseKernel where_kernel("where");

// What sum_to has to sum: the axes that broadcasting added or stretched.
Axes stretched_axes(const Shape& from, const Shape& to) {
  Axes axes;
  const int added = to.size() - from.size();
  for (int i = 0; i < to.size(); ++i) {
    if (i < added || (from[i - added] == 1 && to[i] != 1)) axes.push_back(i);
  }
  return axes;
}

bool broadcasts_to(const Shape& from, const Shape& to) {
  const int added = to.size() - from.size();
  if (added < 0) return false;
  for (int i = 0; i < from.size(); ++i) {
    if (from[i] != 1 && from[i] != to[added + i]) return false;
  }
  return true;
}

}  // namespace

Variable where(const Variable& condition, const Variable& x, const Variable& y) {
  const Dtype dtype = promote(x.dtype(), y.dtype());
  const Variable a = x.dtype() == dtype ? x : cast(x, dtype);
  const Variable b = y.dtype() == dtype ? y : cast(y, dtype);
  const Array c = as_dtype(condition.array(), Dtype::bool_);
  const Device device = common_device("where", {&c, &a.array(), &b.array()});
  const Shape shape =
      broadcast_shapes("where", c.shape(), broadcast_shapes("where", a.shape(), b.shape()));
  Array out(shape, dtype, device);
  run_elementwise(where_kernel, dtype, out, {&c, &a.array(), &b.array()});
  return record(
      "where", out,
      [c, sa = a.shape(), sb = b.shape()](Backward& ctx) {
        const Variable& g = ctx.grad();
        const Variable zero = scalar_like(g, 0.0, ScalarKind::floating);
        if (ctx.needs(0)) ctx.set(0, sum_to(where(Variable(c), g, zero), sa));
        if (ctx.needs(1)) ctx.set(1, sum_to(where(Variable(c), zero, g), sb));
      },
      a, b);
}

Variable cast(const Variable& x, Dtype dtype) {
  if (x.dtype() == dtype) return x;
  const Array y = as_dtype(x.array(), dtype);
  if (!is_floating(dtype) || !is_floating(x.dtype())) return Variable(y);
  return record("cast", y, [from = x.dtype()](Backward& b) { b.set(0, cast(b.grad(), from)); }, x);
}

Variable broadcast_to(const Variable& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  return record(
      "broadcast_to", x.array().broadcast_to("broadcast_to", shape),
      [from = x.shape()](Backward& b) { b.set(0, sum_to(b.grad(), from)); }, x);
}

Variable sum_to(const Variable& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  if (!broadcasts_to(shape, x.shape())) {
    throw ValueError(
        cat("[sum_to] got ", x.shape(), ", expected a shape that ", shape, " broadcasts to"));
  }
  return reshape(sum(x, stretched_axes(shape, x.shape()), true), shape);
}

Variable scalar_like(const Variable& x, double value, ScalarKind kind) {
  return Variable(filled({}, promote_scalar(x.dtype(), kind), x.device(), value));
}

}  // namespace chainrule
