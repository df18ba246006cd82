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
};

// out = alpha op(a) op(b) + beta out + bias over the last two dimensions; those before them
// broadcast to out's. All of one dtype and device, any strides, shapes that fit. Integers wrap,
// bools are combined by and and or, halves are summed in float32.
CHAINRULE_API void gemm(const Array& out,
                        const Array& a,
                        const Array& b,
                        const GemmOptions& options = {});

}  // namespace chainrule
