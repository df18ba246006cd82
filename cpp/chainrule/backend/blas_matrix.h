#pragma once

#include <cstdint>

#include "chainrule/backend/matrix.h"

namespace chainrule {

// A matrix as BLAS wants it: the elements of its rows lie side by side ('N'), or those of its
// columns ('T').
struct BlasMatrix {
  char transposed = 'N';
  std::int64_t leading = 0;  // from one row (column) to the next; 0: it cannot be described
};

inline BlasMatrix blas_matrix(const Matrix& x) {
  const auto leading = [](std::int64_t lines, std::int64_t stride, std::int64_t length) {
    return lines == 1 ? length : stride >= length ? stride : 0;
  };
  if (x.col_stride == 1 || x.cols == 1) {
    const std::int64_t ld = leading(x.rows, x.row_stride, x.cols);
    if (ld > 0) return {'N', ld};
  }
  if (x.row_stride == 1 || x.rows == 1) return {'T', leading(x.cols, x.col_stride, x.rows)};
  return {};
}

// The same products with the sides of c exchanged: c^T = b^T a^T.
inline GemmPlan transposed(const GemmPlan& plan) {
  GemmPlan other = plan;
  other.a = plan.b.transposed();
  other.b = plan.a.transposed();
  other.c = plan.c.transposed();
  other.bias = plan.bias.transposed();
  for (int i = 0; i < plan.batch_ndim; ++i) {
    other.batch_strides[0][i] = plan.batch_strides[1][i];
    other.batch_strides[1][i] = plan.batch_strides[0][i];
  }
  return other;
}

}  // namespace chainrule
