#pragma once

#include <pybind11/numpy.h>

#include "chainrule/core/array.h"

// Arrays to and from NumPy without copies.
namespace chainrule::python {

// The NumPy object behind an array where there is one with just this view, a new view of its
// memory otherwise; read-only where memory is, or where broadcasting repeats elements.
pybind11::object to_numpy(const Array& array);

// Whether an array is on the memory of this ndarray, which may be written to, in its native dtype.
bool is_on(const Array& array, pybind11::handle ndarray);

// Adopts the memory of an ndarray of a known dtype, in native byte order and aligned (others
// are copied into one); NumPy scalars, Python numbers and nested lists are converted first.
// `op` names the operation in errors.
Array from_numpy(pybind11::handle object, const char* op = "array");

// For the bindings' arguments that name a dtype: anything numpy.dtype() takes, and 'bfloat16'.
Dtype dtype_from_python(pybind11::handle dtype);
pybind11::object dtype_to_python(Dtype dtype);

pybind11::tuple shape_to_python(const Dims& shape);

void bind_numpy(pybind11::module_& m);

}  // namespace chainrule::python
