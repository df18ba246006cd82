#pragma once

#include <pybind11/pybind11.h>

#include "chainrule/autograd/node.h"
#include "variable.h"

namespace chainrule::python {

void bind_node(pybind11::module_& m);

}  // namespace chainrule::python
