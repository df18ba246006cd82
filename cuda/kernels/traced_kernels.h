#pragma once

#include <cstdint>

#include "../compiler.h"
#include "chainrule/update/traced_program.h"

// Users' rules as kernels of their own, where NVRTC is at hand.
namespace chainrule::cuda {

using UpdateKernel = void (*)(const update::Row* rows,
                              const update::Chunk* chunks,
                              const std::int32_t* order,
                              double* out);

// Compiled at first use, then kept as long as the process lives. Null where there is none: then
// the interpreter (traced.cuh) runs the program, to the same values but for roundings. `device` is
// the current one.
UpdateKernel traced_kernel(const update::TracedProgram& program,
                           bool is_double,
                           bool observed,
                           int device);

// The compiler, and why the last program that is interpreted is.
OpenedLibrary traced_state();

}  // namespace chainrule::cuda
