#include "chainrule/ops/dropout.h"

#include "chainrule/autograd/backward.h"
#include "chainrule/backend/elementwise.h"
#include "chainrule/functors/philox.h"
#include "chainrule/ops/elementwise.h"

namespace chainrule {
namespace {

ElementwiseKernel dropout_kernel(functors::Dropout::name);

struct Params {
  double values[3];  // key's low and high half, ratio
};

Array run(const Array& x, const Params& params) {
  const Array y(x.shape(), x.dtype(), x.device());
  run_elementwise(dropout_kernel, x.dtype(), y, {&x}, params.values);
  return y;
}

// Linear in x and its own gradient: the same elements pass.
Variable apply(const Variable& x, const Params& params) {
  return record(
      "dropout", run(x.array(), params),
      [params](Backward& b) { b.set(0, apply(b.grad(), params)); }, x);
}

void check(const Variable& x, double ratio) {
  if (!(ratio >= 0.0 && ratio < 1.0)) {
    throw ValueError(cat("[dropout] ratio out of range: got ", ratio, ", expected 0 <= ratio < 1"));
  }
  if (!is_floating(x.dtype())) {
    throw TypeError(cat("[dropout] x of the wrong dtype: got ", x.dtype(), ", expected a float"));
  }
}

Params make_params(double ratio, std::uint64_t key) {
  return {{static_cast<double>(key & 0xffffffffu), static_cast<double>(key >> 32), ratio}};
}

}  // namespace

Variable dropout(const Variable& x, double ratio, std::uint64_t key) {
  check(x, ratio);
  return apply(x, make_params(ratio, key));
}

Array dropout_mask(const Variable& x, double ratio, std::uint64_t key) {
  check(x, ratio);
  return run(filled(x.shape(), x.dtype(), x.device(), 1.0), make_params(ratio, key));
}

Array dropout_mask(const Variable& x, double ratio, const Array& numbers) {
  check(x, ratio);
  const Variable drawn(numbers);
  const Variable kept = greater_equal(drawn, scalar_like(drawn, ratio, ScalarKind::floating));
  const Variable scale(filled({}, x.dtype(), x.device(), 1.0 / (1.0 - ratio)));
  return multiply(cast(kept, x.dtype()), scale).array();
}

}  // namespace chainrule
