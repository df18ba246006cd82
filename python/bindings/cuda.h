#pragma once

#include <pybind11/pybind11.h>

namespace chainrule::python {

void bind_cuda(pybind11::module_& m);

}  // namespace chainrule::python
