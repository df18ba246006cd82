#pragma once

#include <pybind11/pybind11.h>

namespace chainrule::python {

void bind_algorithm(pybind11::module_& m);
void bind_hyperparameter(pybind11::module_& m);
void bind_update(pybind11::module_& m);

}  // namespace chainrule::python
