#pragma once

#include <string>

#include "library.h"

// NVRTC, which compiles kernels at run time. It is opened when first asked for, and need not be
// there.
namespace chainrule::cuda {

struct Compiled {
  std::string code;     // machine code or PTX: what cudaLibraryLoadData takes
  std::string problem;  // why there is none
};

// `source` may include what device_headers() has; `capability`: 10 times a device's, sm_90 is 90.
// Flags are those of kernels/update.cu. Safe to call from several threads.
Compiled compile(const std::string& source, int capability);

// What compiles.
OpenedLibrary compiler_state();

}  // namespace chainrule::cuda
