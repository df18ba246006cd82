#pragma once

#include <pybind11/pybind11.h>

namespace chainrule::python {

void bind_borrowed_tensors(pybind11::module_& m);

}  // namespace chainrule::python
