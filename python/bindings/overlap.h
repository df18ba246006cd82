#pragma once

#include <pybind11/pybind11.h>

#include "chainrule/core/shape.h"

namespace chainrule::python {

// Whether an axis steps into what the finer ones cover, as no slice of an array does: elements
// may share memory then. `item` is the size of an element, in what strides count in.
bool overlaps(const Dims& shape, const Dims& strides, std::int64_t item);

void bind_overlap(pybind11::module_& m);

}  // namespace chainrule::python
