#pragma once

#include "chainrule/core/api.h"
#include "chainrule/core/array.h"

// Decompositions of matrices, which a well-kept library does: whoever loads this one says which.
namespace chainrule {

struct LinearAlgebra {
  // Eigenvectors of a symmetric matrix as the columns of `vectors`, the least eigenvalue's first.
  void (*eigenvectors)(const Array& symmetric, const Array& vectors);
  // The orthogonal factor of a square matrix.
  void (*orthogonal_factor)(const Array& matrix, const Array& factor);
};

// Both may be called on any thread, with contiguous float32 or float64 arrays on the CPU.
CHAINRULE_API void set_linear_algebra(const LinearAlgebra& functions);
// Throws where nobody has said.
const LinearAlgebra& linear_algebra();
bool has_linear_algebra();

}  // namespace chainrule
