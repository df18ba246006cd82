#pragma once

#include <pybind11/pybind11.h>

namespace chainrule::python {

// Calls from programs that XLA has compiled; see xla_call.cpp.
void bind_xla_call(pybind11::module_& m);

}  // namespace chainrule::python
