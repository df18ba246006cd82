#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

namespace chainrule::python {

// Fills the number slots of the Variable type (+, *, @, comparisons ...) directly: the
// interpreter reaches them without looking methods up by name.
void install_operators(PyHeapTypeObject* type);

}  // namespace chainrule::python
