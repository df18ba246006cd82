#pragma once

#include <string>

#include "chainrule/update/traced_program.h"

// A user's rule as CUDA C++: the host's half, free of CUDA.
namespace chainrule::cuda {

// Of the kernel that traced_source defines.
inline constexpr char kTracedKernel[] = "update_traced";

// A rule as update/rule.h has it, one statement per instruction, and the traversal around it. The
// same text for the same program.
std::string traced_source(const update::TracedProgram& program, bool is_double, bool observed);

}  // namespace chainrule::cuda
