#pragma once

#include <string_view>

#include "chainrule/core/api.h"

namespace chainrule::cpu {

// Chooses the instruction set once (CHAINRULE_CPU_ISA=baseline|avx2|avx512 lowers the choice)
// and fills the CPU column of every kernel.
void register_kernels();

// The instruction set in use: "baseline", "avx2" or "avx512".
CHAINRULE_API std::string_view instruction_set();

}  // namespace chainrule::cpu
