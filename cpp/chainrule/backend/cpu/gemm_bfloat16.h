#pragma once

#include "chainrule/backend/kernel_registrar.h"

namespace chainrule::cpu {

// Adds products of bfloat16 matrices where the processor has instructions for them (AVX-512 BF16,
// AMX): sums in float32, rounded once.
void add_gemm_bfloat16(KernelRegistrar add);

}  // namespace chainrule::cpu
