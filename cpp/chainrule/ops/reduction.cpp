#include "chainrule/ops/reduction.h"

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

// The gradient of what was reduced, spread over the shape it came from.
Variable spread(const Variable& g, const Shape& shape, const Axes& axes) {
  const Variable kept = reshape(g, reduced_shape(shape, axes, true));
  return broadcast_to(kept, shape);
}

Array run_sum(const Array& x, const Axes& axes, bool keepdims, double divisor) {
  const Dtype dtype = is_floating(x.dtype()) ? x.dtype() : Dtype::int64;
  Array in = x;
  if (x.dtype() == Dtype::int8 || x.dtype() == Dtype::int16) in = as_dtype(x, Dtype::int64);
  if (x.dtype() == Dtype::bool_) {
    in = Array(x.storage(), x.raw(), x.shape(), x.strides(), Dtype::uint8);
  }
  Array out(reduced_shape(x.shape(), axes, keepdims), dtype, x.device());
  const Dtype wide = is_floating(dtype) ? Dtype::float64 : dtype;
  run_reduction(sum_kernel, out, in, axes, {divisor, wide});
  return out;
}

Variable sum_over(const char* op, const Variable& x, const Axes& axes, bool keepdims,
                  double divisor) {
  return record(
      op, run_sum(x.array(), axes, keepdims, divisor),
      [shape = x.shape(), axes, divisor](Backward& b) {
        const Variable& g = b.grad();
        if (divisor == 1.0) {
          b.set(0, spread(g, shape, axes));
        } else {
          b.set(0, spread(divide(g, scalar_like(g, divisor, ScalarKind::floating)), shape, axes));
        }
      },
      x);
}

}  // namespace

Variable sum(const Variable& x, const Axes& axes, bool keepdims) {
  return sum_over("sum", x, normalize_axes("sum", axes, x.ndim()), keepdims, 1.0);
}

}  // namespace chainrule
