#pragma once

#include <pybind11/pybind11.h>

namespace chainrule::python {

// Lets Python's garbage collector see through variables, to functions written in Python behind
// them: to be called for the type of Variable before it is ready.
void install_garbage_collection(PyHeapTypeObject* type);

}  // namespace chainrule::python
