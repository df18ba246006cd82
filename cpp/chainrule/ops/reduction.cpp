#include "chainrule/ops/reduction.h"

#include <limits>

#include "chainrule/autograd/backward.h"
#include "chainrule/backend/elementwise.h"
#include "chainrule/backend/reduction.h"
#include "chainrule/functors/reduction.h"
#include "chainrule/ops/elementwise.h"
#include "chainrule/ops/manipulation.h"

namespace chainrule {
namespace {

ReductionKernel sum_kernel(functors::Sum::name);
ReductionKernel max_kernel(functors::Max::name);
ReductionKernel min_kernel(functors::Min::name);
ReductionKernel argmax_kernel("argmax");
ReductionKernel argmin_kernel("argmin");

// What was reduced, spread over the shape it came from.
Variable spread(const Variable& y, const Shape& shape, const Axes& axes) {
  return broadcast_to(reshape(y, reduced_shape(shape, axes, true)), shape);
}

Array run_sum(const Array& x, const Axes& axes, bool keepdims, double divisor) {
  const Dtype dtype = is_floating(x.dtype()) ? x.dtype() : Dtype::int64;
  Array in = x;
  if (x.dtype() == Dtype::int8 || x.dtype() == Dtype::int16) in = as_dtype(x, Dtype::int64);
  if (x.dtype() == Dtype::bool_) {  // the same bytes
    in = Array(x.storage(), x.raw(), x.shape(), x.strides(), Dtype::uint8);
  }
  const Array out(reduced_shape(x.shape(), axes, keepdims), dtype, x.device());
  const Dtype wide = is_floating(dtype) ? Dtype::float64 : dtype;
  run_reduction(sum_kernel, out, in, axes, {divisor, wide});
  return out;
}

void check_not_empty(const char* op, const Shape& shape, const Axes& axes) {
  for (std::int64_t axis : axes) {
    if (shape[static_cast<int>(axis)] == 0) {
      throw ValueError(cat("[", op, "] nothing to choose from: got shape ", shape,
                           " reduced over axes ", axes, ", expected at least one element"));
    }
  }
}

// Integers have kernels for int64 only; their conversion is exact.
Array run_extremum(const ReductionKernel& kernel, const Array& x, const Axes& axes, bool keepdims) {
  const Dtype dtype = is_floating(x.dtype()) ? x.dtype() : Dtype::int64;
  const Array out(reduced_shape(x.shape(), axes, keepdims), dtype, x.device());
  run_reduction(kernel, out, as_dtype(x, dtype), axes, {1.0, compute_dtype(dtype)});
  return as_dtype(out, x.dtype());
}

Variable extremum(const ReductionKernel& kernel,
                  const Variable& x,
                  const Axes& named,
                  bool keepdims) {
  const char* op = kernel.name();
  const Axes axes = normalize_axes(op, named, x.ndim());
  check_not_empty(op, x.shape(), axes);
  const Array y = run_extremum(kernel, x.array(), axes, keepdims);
  return record(
      op, y,
      [x = Saved(x), y, axes](Backward& b) {
        const Shape& shape = x.array().shape();
        const Variable chosen = equal(Variable(x.array()), spread(Variable(y), shape, axes));
        const Variable g = spread(b.grad(), shape, axes);
        b.set(0, where(chosen, g, scalar_like(g, 0.0, ScalarKind::floating)));
      },
      x);
}

Variable place(const ReductionKernel& kernel, const Variable& x, std::optional<std::int64_t> axis) {
  const char* op = kernel.name();
  const Array& in = x.array();
  const Variable flat = axis ? x : reshape(Variable(in), {-1});
  const int along = axis ? normalize_axis(op, *axis, x.ndim()) : 0;
  const std::int64_t length = flat.shape()[along];
  if (length == 0) {
    throw ValueError(cat("[", op, "] nothing to choose from: got shape ", in.shape(),
                         ", expected at least one element"));
  }
  if (length > std::numeric_limits<std::int32_t>::max()) {
    throw ValueError(cat("[", op, "] places are int32: got ", length,
                         " elements, expected less "
                         "than 2^31"));
  }
  const Array out(reduced_shape(flat.shape(), {along}, false), Dtype::int32, in.device());
  const Dtype dtype = is_floating(in.dtype()) ? compute_dtype(in.dtype()) : Dtype::int64;
  run_find(kernel, out, as_dtype(flat.array(), dtype), along);
  return Variable(out);
}

// Zero where y is infinite (or NaN): what may be subtracted from x without making a NaN.
Variable finite_part(const Variable& y) {
  const Variable zero = scalar_like(y, 0.0, ScalarKind::floating);
  return where(equal(subtract(y, y), zero), y, zero);
}

}  // namespace

Variable sum(const Variable& x, const Axes& axes, bool keepdims) {
  const Axes all = normalize_axes("sum", axes, x.ndim());
  return record(
      "sum", run_sum(x.array(), all, keepdims, 1.0),
      [shape = x.shape(), all](Backward& b) { b.set(0, spread(b.grad(), shape, all)); }, x);
}

Variable mean(const Variable& x, const Axes& axes, bool keepdims) {
  if (!is_floating(x.dtype())) return mean(cast(x, Dtype::float64), axes, keepdims);
  const Axes all = normalize_axes("mean", axes, x.ndim());
  double count = 1.0;
  for (std::int64_t axis : all) count *= static_cast<double>(x.shape()[static_cast<int>(axis)]);
  return record(
      "mean", run_sum(x.array(), all, keepdims, count),
      [shape = x.shape(), all, count](Backward& b) {
        const Variable& g = b.grad();
        const Variable each = multiply(g, scalar_like(g, 1.0 / count, ScalarKind::floating));
        b.set(0, spread(each, shape, all));
      },
      x);
}

Variable average(const Variable& x, const Variable& weights, const Axes& axes, bool keepdims) {
  const Axes all = normalize_axes("average", axes, x.ndim());
  Shape expected;
  for (std::int64_t axis : all) expected.push_back(x.shape()[static_cast<int>(axis)]);
  Variable w = weights;
  if (w.shape() == expected) {
    Shape spread_out = Shape::filled(x.ndim(), 1);
    for (std::int64_t axis : all) {
      spread_out[static_cast<int>(axis)] = x.shape()[static_cast<int>(axis)];
    }
    w = broadcast_to(reshape(w, spread_out), x.shape());
  } else if (w.shape() != x.shape()) {
    throw ValueError(cat("[average] weights of the wrong shape: got ", w.shape(), ", expected ",
                         expected, " or ", x.shape()));
  }
  return divide(sum(multiply(x, w), all, keepdims), sum(w, all, keepdims));
}

Variable max(const Variable& x, const Axes& axes, bool keepdims) {
  return extremum(max_kernel, x, axes, keepdims);
}
Variable min(const Variable& x, const Axes& axes, bool keepdims) {
  return extremum(min_kernel, x, axes, keepdims);
}

Variable argmax(const Variable& x, std::optional<std::int64_t> axis) {
  return place(argmax_kernel, x, axis);
}
Variable argmin(const Variable& x, std::optional<std::int64_t> axis) {
  return place(argmin_kernel, x, axis);
}

Variable logsumexp(const Variable& x, const Axes& axes, bool keepdims) {
  if (!is_floating(x.dtype())) return logsumexp(cast(x, to_floating(x.dtype())), axes, keepdims);
  const Axes all = normalize_axes("logsumexp", axes, x.ndim());
  Variable y;
  {
    BackpropMode off(false);
    const Variable wide(as_dtype(x.array(), compute_dtype(x.dtype())));
    const Variable top = finite_part(Variable(run_extremum(max_kernel, wide.array(), all, true)));
    const Variable total = sum(exp(subtract(wide, top)), all, true);
    const Shape shape = reduced_shape(x.shape(), all, keepdims);
    y = cast(reshape(add(log(total), top), shape), x.dtype());
  }
  return record(
      "logsumexp", y.array(),
      [x = Saved(x), y = y.array(), all](Backward& b) {
        const Shape& shape = x.array().shape();
        const Variable level = spread(finite_part(b.output(y)), shape, all);
        const Variable weights = exp(subtract(x.unpack("logsumexp"), level));
        b.set(0, multiply(spread(b.grad(), shape, all), weights));
      },
      x);
}

}  // namespace chainrule
