#pragma once

#include <pybind11/pybind11.h>

#include "chainrule/update/algorithm.h"

namespace chainrule::python {

// A built-in algorithm by name, one made at run time as it is; null for None.
const Algorithm* algorithm_from(pybind11::handle object);
// The same back: a name, or the object.
pybind11::object algorithm_to_python(const Algorithm* algorithm);

}  // namespace chainrule::python
