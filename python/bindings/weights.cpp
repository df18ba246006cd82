#include "chainrule/update/weights.h"

#include <pybind11/stl.h>

#include "chainrule/backend/elementwise.h"
#include "chainrule/core/error.h"
#include "errors.h"
#include "numpy_array.h"
#include "update.h"
#include "variable.h"

namespace py = pybind11;

namespace chainrule::python {
namespace {

Ref<VariableImpl> parameter_of(const char* op, py::handle object) {
  VariableImpl* impl = variable_or_null(object);
  if (!impl || !impl->data().defined()) {
    throw TypeError(
        cat("[", op, "] got ", type_name(object), ", expected a parameter with an array"));
  }
  return Ref<VariableImpl>(impl);
}

using Hooked = std::vector<std::tuple<py::object, Ref<UpdateRule>, py::object>>;

std::vector<HookedWeight> weights_from(const char* op, const Hooked& hooked) {
  std::vector<HookedWeight> out;
  out.reserve(hooked.size());
  for (const auto& [param, rule, own] : hooked) {
    const VariableImpl* variable = variable_or_null(own);
    out.push_back(
        {parameter_of(op, param), rule, variable ? variable->data() : from_numpy(own, op)});
    if (!out.back().own.writeable()) {
      throw ValueError(cat("[", op, "] ", out.back().param->name(), ": the array is read-only"));
    }
  }
  return out;
}

}  // namespace

void bind_weights(py::module_& m) {
  m.def(
      "average_weights",
      [](const Hooked& hooked, double rate) { average_weights(weights_from("EMA", hooked), rate); },
      py::arg("hooked"), py::arg("rate"), "own += rate * (p - own), for (p, rule, own) in a list.");
  m.def(
      "look_ahead",
      [](const Hooked& hooked, double alpha) {
        look_ahead(weights_from("Lookahead", hooked), alpha);
      },
      py::arg("hooked"), py::arg("alpha"), "own += alpha * (p - own), then p = own.");
  m.def(
      "wide_copy",
      [](py::handle param, const Ref<UpdateRule>& rule) {
        const Ref<VariableImpl> impl = parameter_of("hook", param);
        const bool mastered = rule && rule->fp32_update && is_half(impl->data().dtype());
        const Array& source = mastered ? rule->master(impl->data()) : impl->data();
        const bool wide = source.dtype() == Dtype::float64;
        const Array copy = copied(as_dtype(source, wide ? Dtype::float64 : Dtype::float32));
        return make_ref<VariableImpl>(copy, true);
      },
      py::arg("param"), py::arg("rule") = py::none(),
      "A contiguous copy of a parameter, or of the rule's master copy, in at least float32.");
  Class<Perturbation>(m, "Perturbation")
      .def(py::init([](const std::vector<py::object>& params, double rho) {
             std::vector<Ref<VariableImpl>> impls;
             for (const py::object& param : params) impls.push_back(parameter_of("SAM", param));
             return Perturbation(impls, rho);
           }),
           py::arg("params"), py::arg("rho"))
      .def("restore", &Perturbation::restore, "Puts the parameters back.");
}

}  // namespace chainrule::python
