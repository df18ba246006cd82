#pragma once

#include <pybind11/pybind11.h>

#include "chainrule/ops/indexing.h"

namespace chainrule::python {

// What stands between the brackets of x[...], by NumPy's rules.
Index parse_index(pybind11::handle object);

}  // namespace chainrule::python
