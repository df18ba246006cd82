#pragma once

#include <optional>

#include "variable_methods.h"

namespace chainrule::python {

// The CUDA array interface, version 3. Version 2, which knows no streams, is read as well.

// The memory behind an object that has it; nothing where the object has none.
std::optional<Array> from_cuda_interface(pybind11::handle object, const char* op);

// `__cuda_array_interface__` for variables.
void bind_cuda_interface(VariableClass& variable);

}  // namespace chainrule::python
