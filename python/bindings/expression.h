#pragma once

#include <pybind11/pybind11.h>

#include "chainrule/update/expression.h"
#include "variable.h"

namespace chainrule::python {

// An expression, or a real number as one; null where the object is neither.
Ref<Expression> expression_or_null(pybind11::handle object);

// An argument that may be either.
struct Operand {
  Ref<Expression> expression;
};

void bind_expression(pybind11::module_& m);

}  // namespace chainrule::python

namespace pybind11::detail {

template <>
struct type_caster<chainrule::python::Operand> {
  PYBIND11_TYPE_CASTER(chainrule::python::Operand,
                       const_name("chainrule._core.Expression | float"));

  bool load(handle source, bool) {
    value.expression = chainrule::python::expression_or_null(source);
    return static_cast<bool>(value.expression);
  }
};

}  // namespace pybind11::detail
