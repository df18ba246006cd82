#pragma once

#include <pybind11/pybind11.h>

#include "chainrule/autograd/node.h"

namespace chainrule::python {

// What Python sees as the creator of a variable: the user's object for a function written in
// Python, the native node for all others, None where there is none.
pybind11::object creator_to_python(const Ref<Node>& node);

void bind_function_node(pybind11::module_& m);

}  // namespace chainrule::python
