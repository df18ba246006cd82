#pragma once

#include <pybind11/pybind11.h>

#include <string>

#include "chainrule/autograd/variable.h"
#include "chainrule/update/update_rule.h"
#include "class.h"

namespace chainrule::python {

void bind_algorithm(pybind11::module_& m);
void bind_hyperparameter(pybind11::module_& m);
void bind_policies(Class<UpdateRule, Ref<UpdateRule>>& rule);
void bind_rule_states(Class<UpdateRule, Ref<UpdateRule>>& rule);
void bind_update(pybind11::module_& m);
// Lets NumPy decompose matrices for the rules that need it.
void bind_linear_algebra();
void bind_weights(pybind11::module_& m);

// Throws a TypeError unless it is a Variable.
Ref<VariableImpl> parameter_from(pybind11::handle object);
// What a parameter is called in errors.
std::string label_of(const VariableImpl& param);

}  // namespace chainrule::python
