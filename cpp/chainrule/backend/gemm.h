#pragma once

#include "chainrule/backend/kernel.h"
#include "chainrule/backend/matrix.h"

namespace chainrule {

struct GemmOptions {
  bool transpose_a = false;
  bool transpose_b = false;
  double alpha = 1.0;
  double beta = 0.0;
  const Array* bias = nullptr;  // (columns,), added to every row
  // The same bits for any number of threads, and in a batch or alone. On CUDA, where a library
  // chooses how a product is computed by its size and its batch's, only the same product in the
  // same batch on the same kind of device has the same bits, whether this is set or not.
  bool reproducible = false;
  // Of bfloat16 arrays, where has_bfloat16_gemm: multiplied as they are, not as copies in float32.
  // There may be no bias then.
  bool narrow = false;
};

// Whether the device has instructions for products of bfloat16 matrices.
CHAINRULE_API bool has_bfloat16_gemm(Device device);

// Throws where a device cannot multiply for want of a library; says which, and where it was looked
// for. Nothing else has happened then.
CHAINRULE_API void require_gemm(Device device);

// out = alpha op(a) op(b) + beta out + bias over the last two dimensions; those before them
// broadcast to out's. All of one dtype and device, any strides, shapes that fit. Integers wrap,
// bools are combined by and and or, halves are summed in float32. CUDA multiplies floating point
// numbers alone, and float32 as such, not rounded to TF32.
CHAINRULE_API void gemm(const Array& out,
                        const Array& a,
                        const Array& b,
                        const GemmOptions& options = {});

}  // namespace chainrule
