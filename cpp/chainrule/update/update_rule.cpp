#include "chainrule/update/update_rule.h"

#include <algorithm>
#include <cmath>

#include "chainrule/backend/elementwise.h"
#include "chainrule/backend/transfer.h"
#include "chainrule/core/error.h"
#include "chainrule/update/tensor_rules/tensor_rule.h"

namespace chainrule {

namespace {

// A state that was parked goes back to its parameter's device.
void move_from_host(StoredState& state,
                    const Array& param,
                    const std::string& name,
                    const std::string& label) {
  if (state.values.device() != Device{}) {
    throw TypeError(cat("[update] ", label, ": state '", name,
                        "' on another device than the parameter: got ", state.values.device(),
                        ", expected ", param.device()));
  }
  state.values = to_device(state.values, param.device());
  if (state.is_coded()) state.scales = to_device(state.scales, param.device());
}

}  // namespace

UpdateRule::UpdateRule(const Algorithm* algorithm, Ref<Hyperparameter> hyperparam)
    : hyperparam_(std::move(hyperparam)), algorithm_(algorithm) {
  count_alone();
}

void UpdateRule::count_alone() {
  if (hyperparam_->clock()) return;
  own_clock_ = make_ref<Clock>();
  own_clock_->t = t;
  hyperparam_->set_clock(own_clock_);
}

void UpdateRule::begin() {
  if (algorithm_ && algorithm_->begin) {
    algorithm_->begin(resolve("a new rule").values, scalars);
  }
}

void UpdateRule::set_hyperparam(Ref<Hyperparameter> hyperparam) {
  if (const Ref<Clock>& clock = hyperparam_->own_clock()) hyperparam->set_clock(clock);
  hyperparam_ = std::move(hyperparam);
  count_alone();
  version_ = -1;
  ++revision_;
}

void UpdateRule::set_clock(const Ref<Clock>& clock) {
  hyperparam_->set_clock(clock);
  own_clock_ = {};
}

void UpdateRule::set_t(std::int64_t updates) {
  t = updates;
  if (own_clock_) own_clock_->t = updates;
}

void UpdateRule::count() { set_t(t + 1); }

void UpdateRule::begin_update() {
  if (own_clock_) own_clock_->begin();
  ++t;
  updated = true;
}

void UpdateRule::end_update() {
  if (!own_clock_) return;
  own_clock_->end();
  refresh_enabled();
}

void UpdateRule::set_enabled(Ref<Expression> when) {
  if (when->uses_inherit()) {
    throw ValueError(
        cat("[update] 'enabled' has no parent to inherit from: got '", when->text(), "'"));
  }
  enabled_when_ = std::move(when);
  refresh_enabled();
}

void UpdateRule::set_enabled(bool on) {
  enabled_when_ = {};
  enabled = on;
}

bool UpdateRule::refresh_enabled() {
  if (!enabled_when_) return true;
  const double number = enabled_when_->evaluate(step(), 0);
  if (!std::isfinite(number)) return false;
  enabled = number != 0;
  return true;
}

void UpdateRule::require_enabled(const std::string& label) {
  if (refresh_enabled()) return;
  throw ValueError(cat("[update] ", label, ": 'enabled' is not finite: got ",
                       number_text(enabled_when_->evaluate(step(), 0)), " = ",
                       enabled_when_->text(), " at step ", step()));
}

void UpdateRule::set_policies(const Policies& policies) {
  policies_ = policies;
  ++revision_;
}

void UpdateRule::set_state(int place, Array values, Array scales) {
  states_[place] = {std::move(values), std::move(scales)};
  ++revision_;
}

const UpdateRule::Resolved& UpdateRule::resolve(const std::string& label) {
  if (const std::int64_t version = hyperparam_->version(); version != version_) [[unlikely]] {
    look_up(label);
    version_ = version;
  } else if (!varying_.empty() && step() != step_) {
    version_ = -1;
    evaluate(label);
    version_ = version;
  }
  return resolved_;
}

void UpdateRule::look_up(const std::string& label) {
  version_ = -1;
  varying_.clear();
  for (std::size_t i = 0; i < algorithm_->fields.size(); ++i) look_up(i, label);
  evaluate(label);
}

void UpdateRule::look_up(std::size_t field, const std::string& label) {
  const Name name = algorithm_->field_names[field];
  const auto fail = [&](const char* what) {
    return cat("[update] ", label, ": hyperparameter '", *name, "' of ", algorithm_->name, what);
  };
  const std::vector<const Value*> values = hyperparam_->lineage(name);
  if (values.empty()) throw AttributeError(fail(" is not set"));
  double number = 0;
  Varying varying{field, 0, {}};
  for (auto at = values.rbegin(); at != values.rend(); ++at) {
    const Value& value = **at;
    if (!value.numeric) throw TypeError(fail(" is no number"));
    if (value.kind != Value::Kind::expression) {
      number = value.number;
      continue;
    }
    const Ref<Expression>& expression = value.expression;
    if (expression->uses_inherit() && at == values.rbegin()) {
      throw AttributeError(
          cat(fail(" has no parent to inherit from: got '"), expression->text(), "'"));
    }
    if (!varying.chain.empty() || expression->uses_step()) {
      varying.chain.push_back(expression);
    } else {
      number = expression->evaluate(0, number);
    }
  }
  if (!varying.chain.empty()) {
    varying.base = number;
    varying_.push_back(std::move(varying));
    return;
  }
  if (!std::isfinite(number)) {
    const Value& value = *values.front();
    const std::string from = value.expression ? " = " + value.expression->text() : std::string();
    throw ValueError(cat(fail(" is not finite: got "), number, from));
  }
  resolved_.values[field] = number;
}

void UpdateRule::evaluate(const std::string& label) {
  step_ = step();
  for (const Varying& varying : varying_) {
    double number = varying.base;
    for (const Ref<Expression>& expression : varying.chain) {
      number = expression->evaluate(step_, number);
    }
    if (!std::isfinite(number)) {
      throw ValueError(cat("[update] ", label, ": hyperparameter '",
                           *algorithm_->field_names[varying.field], "' of ", algorithm_->name,
                           " is not finite: got ", number_text(number), " = ",
                           varying.chain.back()->text(), " at step ", step_));
    }
    resolved_.values[varying.field] = number;
  }
  resolved_.vanishing = false;
  for (std::size_t i = 0; i < algorithm_->fields.size(); ++i) {
    const double number = resolved_.values[i];
    resolved_.vanishing |= algorithm_->fields[i].kind == update::FieldKind::vanishing &&
                           number != 0 && static_cast<float>(number) == 0;
  }
  resolved_.variant = &algorithm_->variant(resolved_.values);
  ++resolutions_;
}

void UpdateRule::check_expressions(const std::string& label) const {
  for (const auto& [name, value] : hyperparam_->items()) {
    if (value->kind != Value::Kind::expression) continue;
    const double number = hyperparam_->evaluate(name);
    if (std::isfinite(number)) continue;
    throw ValueError(cat("[update] ", label, ": hyperparameter '", *name, "' is not finite: got ",
                         number_text(number), " = ", value->expression->text(), " at step ",
                         step()));
  }
}

bool UpdateRule::has_states() const {
  for (const StoredState& state : states_) {
    if (state.values.defined()) return true;
  }
  return false;
}

void UpdateRule::clear_states() {
  for (StoredState& state : states_) state = {};
  ++revision_;
}

void UpdateRule::drop_states() {
  clear_states();
  master_ = {};
  set_t(0);
  std::fill(std::begin(scalars), std::end(scalars), 0.0);
  begin();
}

void UpdateRule::move_states_to(Device device) {
  StoredState moved[kMaxRuleStates];
  for (int i = 0; i < kMaxRuleStates; ++i) {
    const StoredState& state = states_[i];
    if (!state.values.defined()) continue;
    moved[i].values = to_device(state.values, device);
    if (state.is_coded()) moved[i].scales = to_device(state.scales, device);
  }
  if (master_.defined()) master_ = to_device(master_, device);
  std::move(std::begin(moved), std::end(moved), std::begin(states_));
  ++revision_;
}

std::int64_t UpdateRule::state_bytes() const {
  std::int64_t sum = 0;
  for (const StoredState& state : states_) {
    if (!state.values.defined()) continue;
    sum += state.values.nbytes() + (state.is_coded() ? state.scales.nbytes() : 0);
  }
  return sum;
}

// The dtype that states are stored as, of a rule that computes in `natural`.
Dtype UpdateRule::state_dtype(Dtype natural) const {
  switch (policies_.state_dtype) {
    case Policies::StateDtype::float32:
      return Dtype::float32;
    case Policies::StateDtype::bfloat16:
      return Dtype::bfloat16;
    case Policies::StateDtype::int8:
      return Dtype::int8;
    case Policies::StateDtype::natural:
      break;
  }
  // What a rule measures in a first sweep has to be what the second one reads.
  return is_half(natural) && algorithm_->measures() ? Dtype::float32 : natural;
}

void UpdateRule::prepare_states(const Algorithm::Variant& variant,
                                const Array& param,
                                Dtype natural,
                                const std::string& label) {
  const bool chosen = policies_.state_dtype != Policies::StateDtype::natural;
  const Dtype dtype = state_dtype(natural);
  if (algorithm_->tensor) {
    if (chosen && dtype != Dtype::float32) {
      throw ValueError(cat("[update] ", label, ": ", algorithm_->name,
                           ", a rule for whole tensors, keeps full states: got state_dtype ", dtype,
                           ", expected None or float32"));
    }
    prepare_tensor_states(param, label);
  }
  for (const int place : variant.states) {
    StoredState& state = states_[place];
    const Algorithm::State& description = algorithm_->states[place];
    if (!state.values.defined()) {
      state = description.initial == update::kParameter
                  ? stored_as({copied(as_contiguous(param)), {}}, dtype, description.square)
                  : filled_state(param.shape(), dtype, param.device(), description.initial,
                                 description.square);
      continue;
    }
    const Array& values = state.values;
    if (values.shape() != param.shape()) {
      throw ValueError(cat("[update] ", label, ": state '", description.name,
                           "' of the wrong shape: got ", values.shape(), ", expected ",
                           param.shape()));
    }
    if (values.device() != param.device()) {
      move_from_host(state, param, description.name, label);
    }
    if (values.dtype() != dtype) {
      state = stored_as(state, dtype, description.square);
    }
  }
}

// States of a rule for whole tensors have shapes of their own, and are of the type computed in.
void UpdateRule::prepare_tensor_states(const Array& param, const std::string& label) {
  const Dtype dtype = param.dtype() == Dtype::float64 ? Dtype::float64 : Dtype::float32;
  const auto first = static_cast<std::size_t>(algorithm_->first_tensor_state);
  for (std::size_t place = first; place < algorithm_->states.size(); ++place) {
    Array& state = states_[place].values;
    const std::string& name = algorithm_->states[place].name;
    const std::optional<Shape> shape = algorithm_->tensor->state_shape(
        resolved_.values, param.shape(), static_cast<int>(place - first));
    if (!shape) {
      state = {};
      continue;
    }
    if (!state.defined()) {
      state = filled(*shape, dtype, param.device(), algorithm_->states[place].initial);
    }
    if (!(state.shape() == *shape)) {
      throw ValueError(cat("[update] ", label, ": state '", name, "' of the wrong shape: got ",
                           state.shape(), ", expected ", *shape));
    }
    if (state.device() != param.device()) move_from_host(states_[place], param, name, label);
    if (state.dtype() != dtype || !state.is_contiguous()) {
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

std::int64_t UpdateRule::state_bytes(const Shape& shape, Dtype natural) {
  const Algorithm::Variant& variant = *resolve("a rule").variant;
  std::int64_t size = 1;
  for (int i = 0; i < shape.size(); ++i) size *= shape[i];
  const Dtype dtype = state_dtype(natural);
  std::int64_t each = size * item_size(dtype);
  if (dtype == Dtype::int8) {
    each += (size + update::kStateBlock - 1) / update::kStateBlock * item_size(Dtype::float32);
  }
  std::int64_t sum = each * static_cast<std::int64_t>(variant.states.size());
  if (!algorithm_->tensor) return sum;
  const Dtype wide = natural == Dtype::float64 ? Dtype::float64 : Dtype::float32;
  const auto first = static_cast<std::size_t>(algorithm_->first_tensor_state);
  for (std::size_t place = first; place < algorithm_->states.size(); ++place) {
    const std::optional<Shape> own =
        algorithm_->tensor->state_shape(resolved_.values, shape, static_cast<int>(place - first));
    if (!own) continue;
    std::int64_t count = 1;
    for (int i = 0; i < own->size(); ++i) count *= (*own)[i];
    sum += count * item_size(wide);
  }
  return sum;
}

const Array& UpdateRule::master(const Array& param) {
  if (!master_.defined() || master_.shape() != param.shape()) {
    master_ = as_dtype(as_contiguous(param), Dtype::float32);
  }
  master_ = to_device(master_, param.device());
  return master_;
}

void UpdateRule::set_master(Array master) {
  master_ = std::move(master);
  ++revision_;
}

}  // namespace chainrule
