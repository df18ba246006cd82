#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>  // everywhere: a caster that only some files know is undefined behaviour

#include "chainrule/autograd/variable.h"
#include "class.h"

namespace chainrule::python {

// The Variable behind a Python object, or null where it is none. Does not allocate.
VariableImpl* variable_or_null(pybind11::handle object);
// Variables as they are; arrays and numbers become constants.
Variable to_variable(pybind11::handle object, const char* op);
// The same for the partner of `other` in an operation of two: a bare number, Python's or
// NumPy's, takes the dtype of `other` unless it is of a higher kind.
Variable to_operand(pybind11::handle object, const Variable& other, const char* op);
// The NumPy object for a variable's data, the same one each time.
pybind11::object array_of(VariableImpl& variable);

void bind_variable(pybind11::module_& m);

}  // namespace chainrule::python

namespace pybind11::detail {

// Lets bound functions take and return chainrule::Variable. None stands for "no variable".
template <>
struct type_caster<chainrule::Variable> {
  PYBIND11_TYPE_CASTER(
      chainrule::Variable,
      io_name("chainrule._core.Variable | numpy.ndarray | numpy.generic | float | None",
              "chainrule._core.Variable"));

  bool load(handle source, bool convert) {
    if (auto* impl = chainrule::python::variable_or_null(source)) {
      value = chainrule::Variable(chainrule::Ref<chainrule::VariableImpl>(impl));
      return true;
    }
    if (source.is_none()) return true;
    if (!convert) return false;
    value = chainrule::python::to_variable(source, "argument");
    return true;
  }

  static handle cast(const chainrule::Variable& variable, return_value_policy, handle) {
    if (!variable.defined()) return none().release();
    return pybind11::cast(variable.impl()).release();
  }
};

}  // namespace pybind11::detail
