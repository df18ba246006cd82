#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <functional>

#include "chainrule/autograd/node.h"

namespace chainrule::python {

// What Python sees as the creator of a variable: the user's object for a function written in
// Python, the native node for all others, None where there is none.
pybind11::object creator_to_python(const Ref<Node>& node);

// Functions written in Python that a graph keeps.
std::int64_t live_python_functions();
// The user's object, borrowed; null for a node of another kind.
PyObject* function_of(const Node& node);
// Calls `visit` for the variables that such a node has saved.
void for_each_saved(const Node& node, const std::function<void(const Variable&)>& visit);

void bind_function_node(pybind11::module_& m);

}  // namespace chainrule::python
