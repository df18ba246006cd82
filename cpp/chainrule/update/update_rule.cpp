#include "chainrule/update/update_rule.h"

#include <cmath>

#include "chainrule/backend/elementwise.h"
#include "chainrule/core/error.h"
#include "chainrule/update/tensor_rules/tensor_rule.h"

namespace chainrule {

UpdateRule::UpdateRule(const Algorithm* algorithm, Ref<Hyperparameter> hyperparam)
    : hyperparam_(std::move(hyperparam)), algorithm_(algorithm) {}

void UpdateRule::begin() {
  if (algorithm_ && algorithm_->begin) {
    algorithm_->begin(resolve("a new rule").values, scalars);
  }
}

void UpdateRule::set_hyperparam(Ref<Hyperparameter> hyperparam) {
  hyperparam_ = std::move(hyperparam);
  version_ = -1;
  ++revision_;
}

void UpdateRule::set_state(int place, Array state) {
  states_[place] = std::move(state);
  ++revision_;
}

const UpdateRule::Resolved& UpdateRule::resolve(const std::string& label) {
  if (const std::int64_t version = hyperparam_->version(); version != version_) [[unlikely]] {
    look_up(label);
    version_ = version;
  }
  return resolved_;
}

void UpdateRule::look_up(const std::string& label) {
  version_ = -1;
  resolved_.vanishing = false;
  for (std::size_t i = 0; i < algorithm_->fields.size(); ++i) {
    const Name name = algorithm_->field_names[i];
    const Value* value = hyperparam_->find(name);
    if (!value) {
      throw AttributeError(cat("[update] ", label, ": hyperparameter '", *name, "' of ",
                               algorithm_->name, " is not set"));
    }
    if (!value->numeric) {
      throw TypeError(cat("[update] ", label, ": hyperparameter '", *name, "' of ",
                          algorithm_->name, " is no number"));
    }
    if (!std::isfinite(value->number)) {
      throw ValueError(cat("[update] ", label, ": hyperparameter '", *name, "' of ",
                           algorithm_->name, " is not finite: got ", value->number));
    }
    resolved_.values[i] = value->number;
    resolved_.vanishing |= algorithm_->fields[i].kind == update::FieldKind::vanishing &&
                           value->number != 0 && static_cast<float>(value->number) == 0;
  }
  resolved_.variant = &algorithm_->variant(resolved_.values);
}

bool UpdateRule::has_states() const {
  for (const Array& state : states_) {
    if (state.defined()) return true;
  }
  return false;
}

void UpdateRule::clear_states() {
  for (Array& state : states_) state = {};
  ++revision_;
}

void UpdateRule::prepare_states(const Algorithm::Variant& variant,
                                const Array& param,
                                Dtype dtype,
                                const std::string& label) {
  if (algorithm_->tensor) prepare_tensor_states(param, label);
  for (const int place : variant.states) {
    Array& state = states_[place];
    const Algorithm::State& description = algorithm_->states[place];
    if (!state.defined()) {
      state = filled(param.shape(), dtype, param.device(), description.initial);
      continue;
    }
    if (state.shape() != param.shape()) {
      throw ValueError(cat("[update] ", label, ": state '", description.name,
                           "' of the wrong shape: got ", state.shape(), ", expected ",
                           param.shape()));
    }
    if (state.dtype() != states_[variant.states[0]].dtype()) {
      throw TypeError(cat("[update] ", label, ": state '", description.name,
                          "' of another dtype than the others: got ", state.dtype(), ", expected ",
                          states_[variant.states[0]].dtype()));
    }
    if (state.device() != param.device()) {
      throw TypeError(cat("[update] ", label, ": state '", description.name,
                          "' on another device than the parameter: got ", state.device(),
                          ", expected ", param.device()));
    }
  }
}

// States of a rule for whole tensors have shapes of their own, and are of the type computed in.
void UpdateRule::prepare_tensor_states(const Array& param, const std::string& label) {
  const Dtype dtype = param.dtype() == Dtype::float64 ? Dtype::float64 : Dtype::float32;
  const auto first = static_cast<std::size_t>(algorithm_->first_tensor_state);
  for (std::size_t place = first; place < algorithm_->states.size(); ++place) {
    Array& state = states_[place];
    const std::string& name = algorithm_->states[place].name;
    const std::optional<Shape> shape = algorithm_->tensor->state_shape(
        resolved_.values, param.shape(), static_cast<int>(place - first));
    if (!shape) {
      state = {};
    } else if (!state.defined()) {
      state = filled(*shape, dtype, param.device(), algorithm_->states[place].initial);
    } else if (!(state.shape() == *shape)) {
      throw ValueError(cat("[update] ", label, ": state '", name, "' of the wrong shape: got ",
                           state.shape(), ", expected ", *shape));
    } else if (state.device() != param.device()) {
      throw TypeError(cat("[update] ", label, ": state '", name,
                          "' on another device than the parameter: got ", state.device(),
                          ", expected ", param.device()));
    } else if (state.dtype() != dtype || !state.is_contiguous()) {
      state = as_contiguous(as_dtype(state, dtype));
    }
  }
}

std::vector<std::string> UpdateRule::state_names(const Shape& shape) {
  std::vector<std::string> out;
  const Resolved& resolved = resolve("a rule");
  for (const int place : resolved.variant->states) {
    out.push_back(algorithm_->states[static_cast<std::size_t>(place)].name);
  }
  if (!algorithm_->tensor) return out;
  const auto first = static_cast<std::size_t>(algorithm_->first_tensor_state);
  for (std::size_t place = first; place < algorithm_->states.size(); ++place) {
    if (algorithm_->tensor->state_shape(resolved.values, shape, static_cast<int>(place - first))) {
      out.push_back(algorithm_->states[place].name);
    }
  }
  return out;
}

const Array& UpdateRule::master(const Array& param) {
  if (!master_.defined() || master_.shape() != param.shape() ||
      master_.device() != param.device()) {
    master_ = as_dtype(as_contiguous(param), Dtype::float32);
  }
  return master_;
}

}  // namespace chainrule
