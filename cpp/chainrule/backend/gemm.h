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
  // The same bits for any number of threads, and in a batch or alone.
  bool reproducible = false;
  // Of bfloat16 arrays, where has_bfloat16_gemm: multiplied as they are, not as copies in float32.
  // There may be no bias then.
  bool narrow = false;
};

// Whether the device has instructions for products of bfloat16 matrices.
CHAINRULE_API bool has_bfloat16_gemm(Device device);

// out = alpha op(a) op(b) + beta out + bias over the last two dimensions; those before them
// broadcast to out's. All of one dtype and device, any strides, shapes that fit. Integers wrap,
// bools are combined by and and or, halves are summed in float32.
CHAINRULE_API void gemm(const Array& out,
                        const Array& a,
                        const Array& b,
                        const GemmOptions& options = {});

}  // namespace chainrule
