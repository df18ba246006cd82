#pragma once

#include "variable_methods.h"

namespace chainrule::python {

// Arrays to and from other libraries through DLPack, without copies:
// `__dlpack__`, `__dlpack_device__` and `_from_dlpack`.
void bind_dlpack(VariableClass& variable);
void bind_from_dlpack(VariableClass& variable);

}  // namespace chainrule::python
