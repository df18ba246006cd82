#pragma once

#include "chainrule/backend/kernel_registrar.h"

namespace chainrule::cpu {

// Adds the CPU's column of the kernel "gemm", which stands above the instruction sets.
void add_gemm(KernelRegistrar add);

}  // namespace chainrule::cpu
