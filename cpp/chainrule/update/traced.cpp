#include "chainrule/update/traced.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "chainrule/core/error.h"

namespace chainrule {
namespace {

Algorithm::Variant variant_of(const TracedRule& rule, const TracedRule::Variant& from) {
  const int field_count = static_cast<int>(rule.fields.size());
  const int state_count = static_cast<int>(rule.states.size());
  if (from.states.size() != from.expression.states.size()) {
    throw ValueError(cat("[update_rule] ", rule.name, ": results of states: got ",
                         from.expression.states.size(), ", expected ", from.states.size()));
  }
  Algorithm::Variant out{};
  out.rule = update::kTracedRule;
  for (const int place : from.states) {
    const auto narrow = static_cast<std::int8_t>(place);
    if (place < 0 || place >= state_count ||
        std::find(out.states.begin(), out.states.end(), narrow) != out.states.end()) {
      throw ValueError(cat("[update_rule] ", rule.name, ": no such state, or twice: got ", place));
    }
    out.states.push_back(narrow);
  }
  for (const auto& [place, on] : from.switches) {
    if (place < 0 || place >= field_count) {
      throw ValueError(cat("[update_rule] ", rule.name, ": no such switch: got ", place));
    }
  }
  const auto lowered = make_ref<LoweredRule>(from.expression, field_count);
  out.lowered = Ref<const LoweredRule>(lowered.get());
  out.coef_count = lowered->program().coef_count;
  out.constant = lowered->constant();
  out.uses_scalars = false;
  out.selected = [switches = from.switches](const double* values) {
    return std::all_of(switches.begin(), switches.end(),
                       [&](const auto& s) { return (values[s.first] != 0) == s.second; });
  };
  out.prepare = [lowered = out.lowered](const double* values, const update::Step& step,
                                        double* coefs) { lowered->prepare(values, step, coefs); };
  return out;
}

}  // namespace

Ref<const Algorithm> make_algorithm(const TracedRule& rule) {
  const auto refuse = [&](auto... what) {
    throw ValueError(cat("[update_rule] ", rule.name, ": ", what...));
  };
  if (rule.fields.size() > kMaxFields) {
    refuse(rule.fields.size(), " hyperparameters, expected at most ", kMaxFields);
  }
  if (rule.states.size() > update::kMaxStates) {
    refuse(rule.states.size(), " states, expected at most ", update::kMaxStates);
  }
  if (rule.variants.empty()) refuse("no expression");
  auto out = make_ref<Algorithm>();
  out->name = rule.name;
  for (const TracedRule::Field& field : rule.fields) {
    const Name name = intern(field.name);
    if (out->find_field(name) >= 0) refuse("two hyperparameters '", field.name, "'");
    if (!std::isfinite(field.value)) {
      refuse("the default of '", field.name, "' is not finite: got ", field.value);
    }
    out->fields.push_back({name->c_str(), field.value, field.kind});
    out->field_names.push_back(name);
  }
  for (const Algorithm::State& state : rule.states) {
    if (out->find_state(state.name) >= 0) refuse("two states '", state.name, "'");
    out->states.push_back(state);
  }
  for (const TracedRule::Variant& variant : rule.variants) {
    out->variants.push_back(variant_of(rule, variant));
  }
  return Ref<const Algorithm>(out.get());
}

}  // namespace chainrule
