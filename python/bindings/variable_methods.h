#pragma once

#include "variable.h"

namespace chainrule::python {

using VariableClass = Class<VariableImpl, Ref<VariableImpl>>;

// Methods of Variable that are ops under another spelling.
void bind_variable_methods(VariableClass& variable);

}  // namespace chainrule::python
