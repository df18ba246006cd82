#include "chainrule/update/weights.h"

#include <pybind11/stl.h>

#include <string>
#include <utility>
#include <vector>

#include "chainrule/backend/elementwise.h"
#include "chainrule/core/error.h"
#include "class.h"
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

// What a hook keeps for parameters, looked up once for many updates.
class HookedWeights {
 public:
  explicit HookedWeights(std::string op) : op_(std::move(op)) {}

  void add(py::handle param, const Ref<UpdateRule>& rule, py::handle own) {
    const VariableImpl* variable = variable_or_null(own);
    HookedWeight weight{parameter_of(op_.c_str(), param), rule,
                        variable ? variable->data() : from_numpy(own, op_.c_str())};
    if (!weight.own.writeable()) {
      throw ValueError(cat("[", op_, "] ", weight.param->name(), ": the array is read-only"));
    }
    weights_.push_back(std::move(weight));
  }

  void check() const { check_weights(op_, weights_); }
  void average(double rate) const { average_weights(weights_, rate); }

  void look_ahead(double alpha, std::int64_t k) const {
    std::vector<HookedWeight> due;
    for (const HookedWeight& weight : weights_) {
      if (weight.rule->t > 0 && weight.rule->t % k == 0) due.push_back(weight);
    }
    chainrule::look_ahead(due, alpha);
  }

 private:
  std::string op_;
  std::vector<HookedWeight> weights_;
};

}  // namespace

void bind_weights(py::module_& m) {
  Class<HookedWeights>(m, "HookedWeights",
                       "Parameters, their rules and the arrays that a hook keeps for them.")
      .def(py::init<std::string>(), py::arg("op"))
      .def("add", &HookedWeights::add, py::arg("param"), py::arg("rule"), py::arg("own"))
      .def("check", &HookedWeights::check, "Raises where an array does not fit its parameter.")
      .def("average", &HookedWeights::average, py::arg("rate"),
           "own += rate * (p - own), for parameters that were updated.")
      .def("look_ahead", &HookedWeights::look_ahead, py::arg("alpha"), py::arg("k"),
           "own += alpha * (p - own), then p = own, at each k-th update of a rule.");
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
