#pragma once

#include <cstdint>

#include "chainrule/core/dtype.h"
#include "library.h"

// cuBLAS, which multiplies matrices. It is opened when first asked for, and need not be there.
namespace chainrule::cuda {

// What multiplies.
OpenedLibrary cublas_state();

// Throws a Failure that says why a device cannot multiply. Cheap after the first call.
void require_cublas(int index);

// An operand as BLAS has it: its columns lie side by side, `leading` elements apart.
struct ColumnMajor {
  bool transposed;  // what is multiplied
  void* data;
  std::int64_t leading;
  std::int64_t stride;  // from one matrix of a batch to the next
};

// c = alpha op(a) op(b) + beta c for `count` matrices, c of `rows` times `cols`, on the device that
// is current, `index`. All of one floating dtype; halves are summed in float32. Throws a Failure.
struct CublasProduct {
  Dtype dtype;
  std::int64_t rows;
  std::int64_t cols;
  std::int64_t inner;
  std::int64_t count;
  double alpha;
  double beta;
  ColumnMajor a;
  ColumnMajor b;
  ColumnMajor c;  // never transposed
};
void multiply(const CublasProduct& product, int index);

}  // namespace chainrule::cuda
