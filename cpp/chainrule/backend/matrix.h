#pragma once

#include <cstdint>

namespace chainrule {

// A matrix in memory: any strides, counted in elements. Transposing swaps two pairs of numbers.
struct Matrix {
  char* data;
  std::int64_t rows;
  std::int64_t cols;
  std::int64_t row_stride;
  std::int64_t col_stride;

  Matrix transposed() const { return {data, cols, rows, col_stride, row_stride}; }
};

// c = alpha a b + beta c + bias, for a whole batch of such products. With beta = 0 the old values
// of c are not read; `bias` has the shape of c or no data. Plain data: kernels of every
// instruction set see it. What another device's kernel gets has no bias, no empty sides, and
// matrices whose rows or columns lie side by side (blas_matrix.h).
struct GemmPlan {
  static constexpr int kMaxBatchDims = 6;

  Matrix a;
  Matrix b;
  Matrix c;
  Matrix bias;
  double alpha;
  double beta;
  bool reproducible;  // the same bits for any number of threads, and in a batch or alone

  // The batch: how far apart the matrices of one operand lie, in elements; bias is repeated.
  std::int32_t batch_ndim;
  std::int64_t batch_shape[kMaxBatchDims];
  std::int64_t batch_strides[3][kMaxBatchDims];  // of a, b, c
  std::int32_t device = 0;                       // which of its kind
};

// What the CPU's kernels of one dtype tell the code that splits the work among threads.
struct GemmBlocking {
  std::int64_t tile_rows;  // a thread's part of c starts at multiples of these
  std::int64_t tile_cols;
  std::int64_t scratch_bytes;  // per thread, for packed operands
};

}  // namespace chainrule
