#pragma once

namespace chainrule {

// How a table of kernels is handed over by code that must stay free of C++ library types:
// the kernel's name, the column (a dtype's number, 0 where dtype does not matter).
using KernelRegistrar = void (*)(const char* name, int column, void* function);

}  // namespace chainrule
