#pragma once

#include <pybind11/pybind11.h>

namespace chainrule::python {

// Reductions, and ops that move elements.
void bind_array_ops(pybind11::module_& m);

}  // namespace chainrule::python
