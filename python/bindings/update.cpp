#include "update.h"

#include "algorithm.h"
#include "chainrule/core/error.h"
#include "chainrule/update/undo.h"
#include "chainrule/update/update_table.h"
#include "errors.h"
#include "expression.h"
#include "variable.h"

namespace py = pybind11;

namespace chainrule::python {
namespace {

// Below this many elements a step is over before another thread could make use of the lock.
constexpr std::int64_t kWorthReleasing = std::int64_t{1} << 20;

void run_step(UpdateTable& table, const UpdateOptions& options) {
  table.prepare(options);
  if (table.work() < kWorthReleasing) {
    table.run();
  } else {
    table.pin();
    const py::gil_scoped_release release;
    table.run();
  }
  table.finish();
}

// One parameter by itself; the same bits as in a table.
void run_one(py::handle param, const Ref<UpdateRule>& rule, const UpdateOptions& options) {
  UpdateTable table;
  const Ref<VariableImpl> impl = parameter_from(param);
  table.add(impl, rule, label_of(*impl), false);
  run_step(table, options);
  table.settle();
}

// Asks the policies of a rule that the host runs; whether the update takes place.
bool admits(const Ref<UpdateRule>& rule, py::handle param) {
  UpdateTable table;
  const Ref<VariableImpl> impl = parameter_from(param);
  table.add(impl, rule, label_of(*impl), true);
  table.prepare({});
  table.decide();
  const bool held = !table.held().empty();
  if (held) ++rule->skipped;
  return !held && impl->grad().defined();
}

void set_enabled(UpdateRule& self, py::handle enabled) {
  if (py::isinstance<Expression>(enabled)) {
    self.set_enabled(enabled.cast<Ref<Expression>>());
  } else {
    self.set_enabled(enabled.cast<bool>());
  }
}

py::dict scalars(const UpdateRule& self) {
  py::dict out;
  if (!self.algorithm()) return out;
  for (std::size_t i = 0; i < self.algorithm()->scalars.size(); ++i) {
    out[py::str(self.algorithm()->scalars[i])] = self.scalars[i];
  }
  return out;
}

void set_scalar(UpdateRule& self, const std::string& name, double value) {
  for (std::size_t i = 0; self.algorithm() && i < self.algorithm()->scalars.size(); ++i) {
    if (self.algorithm()->scalars[i] == name) {
      self.scalars[i] = value;
      return;
    }
  }
  throw KeyError(name);
}

// Of a rule for whole tensors, whose states depend on the parameter's shape: all.
std::vector<std::string> state_names(UpdateRule& self) {
  std::vector<std::string> out;
  if (!self.algorithm()) return out;
  if (self.algorithm()->tensor) {
    for (const auto& state : self.algorithm()->states) out.push_back(state.name);
    return out;
  }
  for (const int place : self.resolve("a rule").variant->states) {
    out.push_back(self.algorithm()->states[static_cast<std::size_t>(place)].name);
  }
  return out;
}

std::int64_t count_from(py::handle t) {
  if (!PyIndex_Check(t.ptr())) {
    throw TypeError(cat("[t] got ", py::repr(t).cast<std::string>(), ", expected a whole number"));
  }
  return t.cast<std::int64_t>();
}

const Ref<Hyperparameter>& not_none(const Ref<Hyperparameter>& hyperparam) {
  if (!hyperparam) throw TypeError("[hyperparam] got None, expected Hyperparameter");
  return hyperparam;
}

void bind_rule(py::module_& m) {
  Class<UpdateRule, Ref<UpdateRule>> rule(m, "UpdateRule");
  bind_policies(rule);
  bind_rule_states(rule);
  rule.def(py::init([](const py::object& algorithm, const Ref<Hyperparameter>& hyperparam) {
             return make_ref<UpdateRule>(algorithm_from(algorithm), not_none(hyperparam));
           }),
           py::arg("algorithm"), py::arg("hyperparam"))
      .def_property(
          "t", [](const UpdateRule& self) { return self.t; },
          [](UpdateRule& self, py::handle t) { self.set_t(count_from(t)); },
          "Number of updates so far.")
      .def_property(
          "_enabled",
          [](UpdateRule& self) {
            self.refresh_enabled();
            return self.enabled;
          },
          &set_enabled)
      .def_property_readonly("_enabled_when",
                             [](const UpdateRule& self) {
                               const Ref<Expression>& when = self.enabled_when();
                               return when ? std::optional(when) : std::nullopt;
                             })
      .def("_admits", &admits, py::arg("param"),
           "Does what the policies say of a gradient that is missing or not finite; whether a\n"
           "rule that Python runs is to update.")
      .def("_follow", &UpdateRule::set_clock, py::arg("clock"),
           "Counts with an optimizer from now on, as its table lets the rule do anyway.")
      .def("_begin_update", &UpdateRule::begin_update)
      .def("_end_update", &UpdateRule::end_update)
      .def_property(
          "hyperparam", [](const UpdateRule& self) { return self.hyperparam(); },
          [](UpdateRule& self, py::handle hyperparam) {
            if (!py::isinstance<Hyperparameter>(hyperparam)) {
              throw TypeError(
                  cat("[hyperparam] got ", type_name(hyperparam), ", expected Hyperparameter"));
            }
            self.set_hyperparam(hyperparam.cast<Ref<Hyperparameter>>());
          },
          "Values of this rule; what is not set here comes from the optimizer.")
      .def_readwrite("_fp32_update", &UpdateRule::fp32_update)
      .def_readonly("_updated", &UpdateRule::updated,
                    "Whether the last update that the parameter had a part in updated it.")
      .def_readwrite("_lent", &UpdateRule::lent,
                     "Whether the parameter holds its average, and is not to be updated.")
      .def_readwrite("_cautious", &UpdateRule::cautious)
      .def_readwrite("_native_hooks", &UpdateRule::hooks)
      .def_property_readonly("_state_names", &state_names,
                             "The states that the present hyperparameters need.")
      .def(
          "_state_names_of",
          [](UpdateRule& self, const std::vector<std::int64_t>& shape) {
            const Dims dims(shape.data(), static_cast<int>(shape.size()));
            return self.algorithm() ? self.state_names(dims) : std::vector<std::string>{};
          },
          py::arg("shape"), "The states that a parameter of this shape needs.")
      .def(
          "_expected_state_bytes",
          [](UpdateRule& self, const std::vector<std::int64_t>& shape, const std::string& dtype) {
            const Dims dims(shape.data(), static_cast<int>(shape.size()));
            return self.algorithm() ? self.state_bytes(dims, dtype_from_name(dtype)) : 0;
          },
          py::arg("shape"), py::arg("dtype"),
          "Size of the states that a parameter of this shape and dtype needs.")
      .def_property_readonly("_all_state_names",
                             [](const UpdateRule& self) {
                               std::vector<std::string> out;
                               if (!self.algorithm()) return out;
                               for (const auto& state : self.algorithm()->states) {
                                 out.push_back(state.name);
                               }
                               return out;
                             })
      .def_property_readonly("_scalars", &scalars)
      .def("_set_scalar", &set_scalar)
      .def("_begin", &UpdateRule::begin, "Takes down what the rule remembers of its first values.")
      .def(
          "_step",
          [](const Ref<UpdateRule>& self, py::handle param) {
            UpdateOptions options;
            options.counted = true;
            run_one(param, self, options);
          },
          "The update itself: no hooks, no count.")
      .def(
          "_update",
          [](const Ref<UpdateRule>& self, py::handle param) { run_one(param, self, {}); },
          "Hooks, update and count of one parameter.");
}

void bind_hook(py::module_& m) {
  Class<GradientHook, Ref<GradientHook>>(m, "GradientHook")
      .def(py::init([](const std::string& kind, double a, double b) {
             using Kind = GradientHook::Kind;
             const std::pair<const char*, Kind> kinds[] = {{"weight_decay", Kind::weight_decay},
                                                           {"lasso", Kind::lasso},
                                                           {"hard_clip", Kind::hard_clip},
                                                           {"clip_norm", Kind::clip_norm},
                                                           {"scale", Kind::scale}};
             for (const auto& [name, value] : kinds) {
               if (kind == name) return make_ref<GradientHook>(value, a, b);
             }
             throw ValueError(cat("[GradientHook] no such kind: got ", kind));
           }),
           py::arg("kind"), py::arg("a") = 0.0, py::arg("b") = 0.0)
      .def_readwrite("_a", &GradientHook::a)
      .def_readwrite("_b", &GradientHook::b);

  m.def(
      "apply_hook",
      [](const Ref<GradientHook>& hook, const std::vector<py::object>& params) {
        UpdateTable table;
        const auto rule = make_ref<UpdateRule>(nullptr, make_ref<Hyperparameter>());
        for (const py::object& param : params) {
          const Ref<VariableImpl> impl = parameter_from(param);
          table.add(impl, rule, label_of(*impl), true);
        }
        UpdateOptions options;
        options.hooks = {hook};
        options.gradients_only = true;
        run_step(table, options);
      },
      py::arg("hook"), py::arg("params"), "Changes gradients in memory as the hook says.");
}

// A table with the options that stay from step to step.
struct Table {
  UpdateTable rows;
  UpdateOptions options;
  Ref<Clock> clock;

  explicit Table(Ref<Clock> counting) : rows(counting), clock(std::move(counting)) {}

  const UpdateOptions& for_step(double loss_scale, bool chainer) {
    options.loss_scale = loss_scale;
    options.chainer_order = options.write_gradients = options.allow_uninitialized = chainer;
    return options;
  }
};

void bind_table(py::module_& m) {
  Class<Table>(m, "UpdateTable")
      .def(py::init<Ref<Clock>>(), py::arg("clock") = py::none())
      .def("clear", [](Table& self) { self.rows.clear(); })
      .def(
          "add",
          [](Table& self, py::handle param, const Ref<UpdateRule>& rule, std::string path,
             bool by_host) {
            self.rows.add(parameter_from(param), rule, std::move(path), by_host);
          },
          py::arg("param"), py::arg("rule"), py::arg("path"), py::arg("by_host"))
      .def("__len__", [](const Table& self) { return self.rows.size(); })
      .def_property_readonly(
          "running", [](const Table& self) { return self.rows.running(); },
          "Whether another thread is in the middle of a step.")
      .def_property(
          "clear_gradients", [](const Table& self) { return self.options.clear_gradients; },
          [](Table& self, bool clear) { self.options.clear_gradients = clear; },
          "Whether a step leaves gradients of zeros behind.")
      .def(
          "zero_gradients", [](Table& self) { self.rows.clear_gradients(false); },
          "Makes all gradients zeros, for a step that is not taken.")
      .def_property(
          "hooks", [](const Table& self) { return self.options.hooks; },
          [](Table& self, std::vector<Ref<GradientHook>> hooks) {
            self.options.hooks = std::move(hooks);
          },
          "Hooks on all parameters that run inside the sweep.")
      .def(
          "step",
          [](Table& self, double loss_scale, bool chainer) {
            run_step(self.rows, self.for_step(loss_scale, chainer));
          },
          py::arg("loss_scale"), py::arg("chainer"), "One update of all rows.")
      .def(
          "step_and_count",
          [](Table& self, double loss_scale) {
            if (!self.clock) throw Error("[update] this table counts nothing: it has no clock");
            run_step(self.rows, self.for_step(loss_scale, false));
            ++self.clock->t;
            self.rows.settle();
          },
          py::arg("loss_scale"), "An update of an optimizer with nothing but rows.")
      .def(
          "settle", [](Table& self) { self.rows.settle(); },
          "Switches rules on and off as their expressions say for the next step.")
      .def(
          "check",
          [](Table& self, double loss_scale, bool chainer) {
            self.rows.prepare(self.for_step(loss_scale, chainer));
            self.rows.decide();
          },
          py::arg("loss_scale"), py::arg("chainer"),
          "Raises what `step` would raise, and asks the policies, before anybody changes "
          "gradients.")
      .def_property_readonly(
          "held", [](const Table& self) { return self.rows.held(); },
          "Paths of parameters that the present step leaves alone, because of their gradients.")
      .def_property_readonly(
          "norm_factors", [](const Table& self) { return self.rows.norm_factors(); },
          "What the last step multiplied gradients by to bound their norm, for each such hook.")
      .def(
          "step_half",
          [](Table& self, double loss_scale, bool chainer, bool hosted) {
            UpdateOptions options = self.for_step(loss_scale, chainer);
            options.half = hosted ? UpdateOptions::Half::hosted : UpdateOptions::Half::rest;
            run_step(self.rows, options);
          },
          py::arg("loss_scale"), py::arg("chainer"), py::arg("hosted"),
          "The half before Python's own rules, which checks everything and changes the gradients\n"
          "of their parameters; or the half after them, which updates all others.")
      .def(
          "abandon", [](Table& self) { self.rows.abandon(); },
          "Takes back what `check` and the first half prepared for a step that is not taken.")
      .def(
          "unscale",
          [](Table& self, double loss_scale, bool chainer) {
            UpdateOptions options;
            options.loss_scale = loss_scale;
            options.chainer_order = chainer;
            options.gradients_only = true;
            run_step(self.rows, options);
          },
          py::arg("loss_scale"), py::arg("chainer"), "Divides all gradients in memory.")
      .def(
          "fill_missing_gradients", [](Table& self) { self.rows.fill_missing_gradients(); },
          "Gives zeros to initialised parameters without a gradient.")
      .def(
          "nonfinite_gradients",
          [](Table& self, bool disabled_too) {
            return self.rows.nonfinite_gradients(disabled_too);
          },
          py::arg("disabled_too"), "Paths of parameters whose gradient is not finite.");
}

void bind_undo(py::module_& m) {
  Class<Undo>(m, "Undo", "Copies of what an update changes, to put back.")
      .def(py::init<>())
      .def(
          "keep",
          [](Undo& self, py::handle param, Ref<UpdateRule> rule, bool gradient_only) {
            self.keep(parameter_from(param), std::move(rule), gradient_only);
          },
          py::arg("param"), py::arg("rule").none(true), py::arg("gradient_only"),
          "Remembers gradient, data, states, count and master copy; or the gradient alone.")
      .def("restore", &Undo::restore, "Puts everything back into the arrays that were there.");
}

}  // namespace

Ref<VariableImpl> parameter_from(py::handle object) {
  VariableImpl* impl = variable_or_null(object);
  if (!impl) {
    throw TypeError(cat("[update] not a parameter: got ", type_name(object)));
  }
  return Ref<VariableImpl>(impl);
}

std::string label_of(const VariableImpl& param) {
  return param.name().empty() ? "a parameter without a name" : param.name();
}

void bind_update(py::module_& m) {
  bind_expression(m);
  bind_linear_algebra();
  bind_algorithm(m);
  bind_hyperparameter(m);
  bind_hook(m);
  bind_rule(m);
  bind_table(m);
  bind_weights(m);
  bind_undo(m);
  m.def("structure_version", &structure_version,
        "Grows when a parameter gets another rule or a link other children.");
  m.def("structure_changed", &structure_changed, "To be called when that happens.");
}

}  // namespace chainrule::python
