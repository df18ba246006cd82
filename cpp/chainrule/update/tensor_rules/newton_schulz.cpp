#include "chainrule/update/tensor_rules/newton_schulz.h"

#include <algorithm>

#include "chainrule/backend/elementwise.h"
#include "chainrule/backend/gemm.h"
#include "chainrule/backend/normalize.h"
#include "chainrule/update/rule_list.h"
#include "chainrule/update/sweep.h"

namespace chainrule {
namespace {

// The quintic of Jordan et al. with the steepest slope at zero.
constexpr double kA = 3.4445;
constexpr double kB = -4.7750;
constexpr double kC = 2.0315;

void multiply(const Array& out, const Array& a, const Array& b, GemmOptions options = {}) {
  options.reproducible = true;
  options.narrow = out.dtype() == Dtype::bfloat16;
  gemm(out, a, b, options);
}

// Rows begin..end and the first `cols` columns of every matrix of a batch.
Array corner(const Array& batch, std::int64_t begin, std::int64_t end, std::int64_t cols) {
  return batch.view({batch.shape()[0], end - begin, cols}, batch.strides(),
                    begin * batch.strides()[1]);
}

// A product x x^T, or of two symmetric matrices that commute: its upper half mirrors the lower,
// which is computed a band of rows at a time. `a` has the rows of `out`, `b` its columns. A GPU is
// quicker with one large product.
void multiply_symmetric(const Array& out, const Array& a, const Array& b, GemmOptions options) {
  if (out.device().kind != DeviceKind::cpu) {
    return multiply(out, a, b.transposed({0, 2, 1}), options);
  }
  constexpr std::int64_t kLeastBand = 192;
  constexpr std::int64_t kBands = 4;
  const std::int64_t side = out.shape()[1];
  const std::int64_t band = std::max(kLeastBand, (side + kBands - 1) / kBands);
  for (std::int64_t begin = 0; begin < side; begin += band) {
    const std::int64_t end = std::min(side, begin + band);
    const Array rows = corner(a, begin, end, a.shape()[2]);
    const Array cols = corner(b, 0, end, b.shape()[2]);
    multiply(corner(out, begin, end, end), rows, cols.transposed({0, 2, 1}), options);
    if (begin == 0) continue;
    const Array left = corner(out, begin, end, begin);
    const Array above =
        out.view({out.shape()[0], begin, end - begin}, out.strides(), begin * out.strides()[2]);
    copy_into(above, left.transposed({0, 2, 1}));
  }
}

Array matrix_of(const Array& batch, std::int64_t i) {
  const Shape shape{batch.shape()[1], batch.shape()[2]};
  const Strides strides{batch.strides()[1], batch.strides()[2]};
  return batch.view(shape, strides, i * batch.strides()[0]);
}

// The iteration from x on, with `spare` of its layout beside it; the result lies in one of them.
Array iterate(Array x, Array spare, int steps) {
  const std::int64_t count = x.shape()[0];
  const bool tall = x.shape()[1] > x.shape()[2];
  const std::int64_t side = std::min(x.shape()[1], x.shape()[2]);
  const Array gram({count, side, side}, x.dtype(), x.device());
  const Array polynomial({count, side, side}, x.dtype(), x.device());

  // A tall matrix is its transpose to the iteration, and stays where it lies.
  for (int step = 0; step < steps; ++step) {
    const Array wide = tall ? x.transposed({0, 2, 1}) : x;
    multiply_symmetric(gram, wide, wide, {});
    copy_into(polynomial, gram);
    multiply_symmetric(polynomial, gram, gram, {.alpha = kC, .beta = kB});
    copy_into(spare, x);
    if (tall) {
      multiply(spare, x, polynomial, {.beta = kA});
    } else {
      multiply(spare, polynomial, x, {.beta = kA});
    }
    std::swap(x, spare);
  }
  return x;
}

// `x` is the input scaled, in the type computed in; the result is of the input's.
Array finish(const Array& input, const Array& x, int steps) {
  if (x.dtype() == input.dtype()) return iterate(x, input, steps);
  copy_into(input, iterate(x, Array(x.shape(), x.dtype(), x.device()), steps));
  return input;
}

}  // namespace

Array newton_schulz(const Array& input, const double* norms, int steps, Dtype dtype) {
  Array x(input.shape(), input.dtype(), input.device());
  Sweep scale(x.device());
  for (std::int64_t i = 0; i < input.shape()[0]; ++i) {
    scale.add_stage(update::place_of<update::ScaleStage>, {1 / norms[i]}, matrix_of(x, i),
                    matrix_of(input, i));
  }
  scale.run();
  x = as_dtype(x, dtype);
  return finish(input, x, steps);
}

Array newton_schulz(const Array& input, double eps, int steps, Dtype dtype) {
  const Array x(input.shape(), dtype, input.device());
  normalize(x, input, eps);
  return finish(input, x, steps);
}

}  // namespace chainrule
