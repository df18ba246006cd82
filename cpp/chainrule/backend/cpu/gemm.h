#pragma once

#include <string>

#include "chainrule/backend/kernel_registrar.h"
#include "chainrule/core/api.h"

namespace chainrule::cpu {

// Adds the CPU's column of the kernel "gemm", which stands above the instruction sets.
void add_gemm(KernelRegistrar add);

// The version of the oneDNN that was loaded, such as "3.2.0".
CHAINRULE_API std::string onednn_version();

}  // namespace chainrule::cpu
