#include "chainrule/update/tensor_rules/newton_schulz.h"

#include <algorithm>

#include "chainrule/backend/elementwise.h"
#include "chainrule/backend/gemm.h"
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
// which is computed a band of rows at a time. `a` has the rows of `out`, `b` its columns.
void multiply_symmetric(const Array& out, const Array& a, const Array& b, GemmOptions options) {
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

}  // namespace

Array newton_schulz(const Array& input, const double* norms, int steps, Dtype dtype) {
  const std::int64_t count = input.shape()[0];
  const std::int64_t rows = input.shape()[1];
  const std::int64_t cols = input.shape()[2];
  const bool tall = rows > cols;
  const std::int64_t side = std::min(rows, cols);
  Array x(input.shape(), input.dtype(), input.device());
  Sweep scale(x.device());
  for (std::int64_t i = 0; i < count; ++i) {
    scale.add_stage(update::place_of<update::ScaleStage>, {1 / norms[i]}, matrix_of(x, i),
                    matrix_of(input, i));
  }
  scale.run();
  const bool narrow = dtype != input.dtype();
  if (narrow) x = as_dtype(x, dtype);
  Array next = narrow ? Array(x.shape(), dtype, x.device()) : input;
  const Array gram({count, side, side}, dtype, x.device());
  const Array polynomial({count, side, side}, dtype, x.device());

  // A tall matrix is its transpose to the iteration, and stays where it lies.
  for (int step = 0; step < steps; ++step) {
    const Array wide = tall ? x.transposed({0, 2, 1}) : x;
    multiply_symmetric(gram, wide, wide, {});
    copy_into(polynomial, gram);
    multiply_symmetric(polynomial, gram, gram, {.alpha = kC, .beta = kB});
    copy_into(next, x);
    if (tall) {
      multiply(next, x, polynomial, {.beta = kA});
    } else {
      multiply(next, polynomial, x, {.beta = kA});
    }
    std::swap(x, next);
  }
  if (!narrow) return x;
  copy_into(input, x);
  return input;
}

}  // namespace chainrule
