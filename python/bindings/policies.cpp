#include <optional>

#include "chainrule/core/error.h"
#include "chainrule/update/update_rule.h"
#include "update.h"
#include "variable.h"

namespace py = pybind11;

namespace chainrule::python {
namespace {

// A policy by the name that Python has for it.
template <class Enum>
struct Choices {
  const char* policy;
  std::vector<std::pair<const char*, Enum>> known;

  std::string name(Enum value) const {
    for (const auto& [name, choice] : known) {
      if (choice == value) return name;
    }
    return {};
  }
  Enum value(const py::object& object) const {
    std::vector<std::string> names;
    for (const auto& [name, choice] : known) {
      if (py::isinstance<py::str>(object) && object.cast<std::string>() == name) return choice;
      names.emplace_back(name);
    }
    const bool text = py::isinstance<py::str>(object);
    const auto got = py::repr(object).cast<std::string>();
    throw ValueError(cat("[", policy, "] no such choice: got ", got,
                         suggestion(text ? object.cast<std::string>() : got, names)));
  }
};

const Choices<Policies::OnNonfinite> kOnNonfinite{
    "on_nonfinite",
    {{"ignore", Policies::OnNonfinite::ignore},
     {"skip_param", Policies::OnNonfinite::skip_param},
     {"skip_step", Policies::OnNonfinite::skip_step},
     {"raise", Policies::OnNonfinite::raise}}};
const Choices<Policies::MissingGrad> kMissingGrad{"missing_grad",
                                                  {{"skip", Policies::MissingGrad::skip},
                                                   {"zero", Policies::MissingGrad::zero},
                                                   {"raise", Policies::MissingGrad::raise}}};
const Choices<Policies::StateDtype> kStateDtype{"state_dtype",
                                                {{"natural", Policies::StateDtype::natural},
                                                 {"float32", Policies::StateDtype::float32},
                                                 {"bfloat16", Policies::StateDtype::bfloat16},
                                                 {"int8", Policies::StateDtype::int8}}};

// Reads and writes one of the policies.
template <class Class, class Enum>
void def_policy(Class& rule,
                const char* name,
                const Choices<Enum>& choices,
                Enum Policies::* member) {
  rule.def_property(
      name,
      [&choices, member](const UpdateRule& self) { return choices.name(self.policies().*member); },
      [&choices, member](UpdateRule& self, const py::object& value) {
        Policies policies = self.policies();
        policies.*member = choices.value(value);
        self.set_policies(policies);
      });
}

std::optional<py::dict> statistics(const UpdateRule& self) {
  if (!self.observed_at) return std::nullopt;
  py::dict out;
  out["t"] = self.observed_at;
  const char* names[] = {"grad_squares", "param_squares", "update_squares",
                         "max_abs",      "nonfinite",     "lost"};
  static_assert(std::size(names) == update::kStatistics);
  for (std::size_t i = 0; i < std::size(names); ++i) out[names[i]] = self.statistics[i];
  return out;
}

}  // namespace

void bind_policies(Class<UpdateRule, Ref<UpdateRule>>& rule) {
  def_policy(rule, "_on_nonfinite", kOnNonfinite, &Policies::on_nonfinite);
  def_policy(rule, "_missing_grad", kMissingGrad, &Policies::missing_grad);
  def_policy(rule, "_state_dtype", kStateDtype, &Policies::state_dtype);
  rule.def_property(
          "_stochastic", [](const UpdateRule& self) { return self.policies().stochastic; },
          [](UpdateRule& self, bool stochastic) {
            Policies policies = self.policies();
            policies.stochastic = stochastic;
            self.set_policies(policies);
          })
      .def_property(
          "_seed", [](const UpdateRule& self) { return self.policies().seed; },
          [](UpdateRule& self, std::uint64_t seed) {
            Policies policies = self.policies();
            policies.seed = seed;
            self.set_policies(policies);
          })
      .def_readwrite("skipped", &UpdateRule::skipped,
                     "Updates left out so far because of gradients that were not finite.")
      .def_readwrite("_observed", &UpdateRule::observed)
      .def_property_readonly("_statistics", &statistics,
                             "Sums of the last observed update, by name; None before it.")
      .def("_drop_states", &UpdateRule::drop_states);
}

}  // namespace chainrule::python
