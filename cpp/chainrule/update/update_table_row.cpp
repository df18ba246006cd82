#include <algorithm>

#include "chainrule/backend/elementwise.h"
#include "chainrule/core/error.h"
#include "chainrule/update/gradient_program.h"
#include "chainrule/update/tensor_rules/tensor_rule.h"
#include "chainrule/update/update_table.h"

// One row before a step: filled and checked, and nothing that matters is changed.
namespace chainrule {
namespace {

using update::kNoRule;
using update::Row;

void check_gradient(const Array& data, const Array& grad, const std::string& path) {
  if (grad.shape() != data.shape()) {
    throw ValueError(cat("[update] ", path, ": gradient of the wrong shape: got ", grad.shape(),
                         ", expected ", data.shape()));
  }
  if (grad.dtype() != data.dtype()) {
    throw TypeError(cat("[update] ", path, ": gradient of the wrong dtype: got ", grad.dtype(),
                        ", expected ", data.dtype()));
  }
  if (grad.device() != data.device()) {
    throw TypeError(cat("[update] ", path, ": gradient on the wrong device: got ", grad.device(),
                        ", expected ", data.device()));
  }
}

[[noreturn, gnu::cold]] void refuse_coefs(const UpdateRule& rule,
                                          const UpdateRule::Resolved& resolved,
                                          std::int64_t t,
                                          const std::string& path) {
  const Algorithm& algorithm = *rule.algorithm();
  std::string values;
  for (std::size_t i = 0; i < algorithm.fields.size(); ++i) {
    values += cat(i ? ", " : "", algorithm.fields[i].name, "=", resolved.values[i]);
  }
  throw ValueError(cat("[update] ", path, ": ", algorithm.name, " has no finite step ", t,
                       " with these hyperparameters: got ", values));
}

bool all_finite(const double* coefs, int count) {
  double zero[2] = {};  // two chains of additions take half the time of one
  for (int i = 0; i + 1 < count; i += 2) {
    zero[0] += 0 * coefs[i];
    zero[1] += 0 * coefs[i + 1];
  }
  if (count % 2) zero[0] += 0 * coefs[count - 1];
  return zero[0] + zero[1] == 0;
}

[[noreturn]] void refuse_vanishing(const UpdateRule& rule,
                                   const double* values,
                                   const std::string& path) {
  const Algorithm& algorithm = *rule.algorithm();
  std::size_t i = 0;
  while (algorithm.fields[i].kind != update::FieldKind::vanishing || values[i] == 0 ||
         static_cast<float>(values[i]) != 0) {
    ++i;
  }
  throw ValueError(cat("[update] ", path, ": hyperparameter '", algorithm.fields[i].name, "' of ",
                       algorithm.name, " is too small for float32: got ", values[i]));
}

// A step's random bits: the seed and the step's number, mixed (Steele, Lea, Flood: "Fast
// Splittable Pseudorandom Number Generators", 2014).
void set_key(Row& row, std::uint64_t seed, std::int64_t t) {
  std::uint64_t z = seed + 0x9E3779B97F4A7C15u * static_cast<std::uint64_t>(t);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  z ^= z >> 31;
  row.key[0] = static_cast<std::uint32_t>(z);
  row.key[1] = static_cast<std::uint32_t>(z >> 32);
}

}  // namespace

void UpdateTable::plan_program(const UpdateOptions& options) {
  program_.clear();
  norms_.clear();
  needs_ = {};
  const update::GradientStep unscale{update::GradientOp::scale, 1 / options.loss_scale, 0};
  const bool scaled = options.loss_scale != 1;
  if (scaled && !options.chainer_order) program_.push_back(unscale);
  for (const Ref<GradientHook>& hook : options.hooks) {
    if (hook->kind == GradientHook::Kind::clip_norm) {
      norms_.emplace_back(static_cast<int>(program_.size()), hook->a);
    }
    program_.push_back(checked_step(*hook, options.chainer_order ? options.loss_scale : 1));
  }
  hook_count_ = static_cast<int>(program_.size());
  if (scaled && options.chainer_order) program_.push_back(unscale);
}

// Fills the row of a parameter of which everything but the gradient and the step's number is as
// it was; returns whether it is.
bool UpdateTable::plan_familiar(Entry& entry,
                                Row& row,
                                const UpdateOptions& options,
                                Planning& planning) {
  UpdateRule& rule = *entry.rule;
  const Array& data = entry.param->data();
  if (!rule.enabled || rule.revision() != entry.revision || data.raw() != entry.raw ||
      data.storage() != entry.storage || data.size() != row.size || data.shape() != entry.shape ||
      static_cast<std::uint8_t>(data.dtype()) != row.param_dtype) {
    return false;
  }
  const Variable& grad = entry.param->grad();
  if (!grad.defined()) return false;
  const Array& g = grad.array();
  if (g.shape() != entry.shape || g.dtype() != data.dtype() || !g.is_contiguous() ||
      g.device() != entry.device) {
    return false;
  }
  const UpdateRule::Resolved& resolved =
      same_values_ && !rule.varies() ? rule.resolved() : rule.resolve(entry.path);
  if (rule.version() != entry.version && resolved.variant != entry.variant) return false;
  row.grad = g.raw();
  row.skip = false;
  row.observed = rule.observed;
  row.clear_grad = options.clear_gradients && g.writeable();
  if (row.programmed || !program_.empty() || !rule.hooks.empty()) plan_programs(rule, row, 1);
  if (rule.version() != entry.version || !entry.variant->constant) {
    if (rule.algorithm()->tensor && rule.version() != entry.version) return false;
    prepare_coefs(entry, row, resolved, options, planning);
    entry.version = rule.version();
  } else {
    entry.scales = false;
  }
  entry.counts = entry.takes_part = !options.counted;
  entry.steps = true;
  return true;
}

// Undefined where there is none and the rule does without.
Array UpdateTable::gradient_of(Entry& entry, bool runs) {
  const Variable& grad = entry.param->grad();
  if (grad.defined()) return grad.array();
  const auto policy = entry.rule->policies().missing_grad;
  if (!runs || policy == Policies::MissingGrad::skip) return {};
  if (policy == Policies::MissingGrad::raise) {
    throw ValueError(
        cat("[update] ", entry.path, " has no gradient, and its rule's missing_grad is 'raise'"));
  }
  const Array& data = entry.param->data();
  entry.zeros = filled(data.shape(), data.dtype(), data.device(), 0);
  needs_.scratch = true;
  return entry.zeros;
}

// Of a rule that the host runs: what its policy says where there is no gradient.
void UpdateTable::plan_hosted(Entry& entry) {
  entry.rule->check_expressions(entry.path);
  if (!asks_ || half_ == UpdateOptions::Half::rest || !entry.param->data().defined()) return;
  const Array g = gradient_of(entry, true);
  entry.takes_part = g.defined();
  if (g.defined() && !entry.param->grad().defined()) entry.param->set_grad(Variable(g));
}

// Fills the row of a parameter that takes part in this step; returns whether it does.
bool UpdateTable::plan_row(Entry& entry,
                           Row& row,
                           const UpdateOptions& options,
                           Planning& planning) {
  UpdateRule& rule = *entry.rule;
  const bool bare = options.bare();
  if (entry.familiar && bare && plan_familiar(entry, row, options, planning)) return true;
  entry.familiar = false;
  entry.counts = entry.steps = entry.scales = entry.takes_part = false;
  const bool runs = rule.enabled && !entry.by_host && !options.gradients_only && !options.inspect;
  const bool hooked =
      (!program_.empty() || options.inspect) && (rule.enabled || options.chainer_order);
  if (entry.by_host && rule.enabled) plan_hosted(entry);
  if (!runs && !hooked) return false;

  const Array& data = entry.param->data();
  if (!data.defined()) {
    if (!runs) return false;
    if (!options.allow_uninitialized) {
      throw Error(cat("[update] ", entry.path,
                      " is not initialized: run the forward pass once, or give it a shape"));
    }
    entry.counts = entry.steps = true;
    return false;
  }
  const Array g = gradient_of(entry, runs);
  if (!g.defined()) return false;
  check_gradient(data, g, entry.path);
  if (!is_floating(data.dtype())) {
    throw TypeError(cat("[update] ", entry.path,
                        ": only floating-point parameters have "
                        "gradients: got ",
                        data.dtype()));
  }

  row.size = data.size();
  row.param_dtype = row.grad_dtype = static_cast<std::uint8_t>(data.dtype());
  row.half = nullptr;
  row.direction = nullptr;
  row.own_steps = nullptr;
  row.own_count = 0;
  row.rule = kNoRule;
  row.sums = 0;
  row.skip = false;
  row.fused = update::Fused::none;
  row.observed = runs && rule.observed;
  entry.device = data.device();
  if (runs) {
    plan_rule(entry, row, options, planning);
  } else {
    // Only the hooks that stand on all parameters; a disabled rule does not unscale.
    row.shared_steps = program_.data();
    row.shared_count = static_cast<std::int16_t>(rule.enabled ? program_.size() : hook_count_);
    row.param = memory_of(data, false);
    row.state_count = 0;
    row.programmed = row.shared_count > 0;
  }
  row.write_grad = row.programmed && (!runs || options.write_gradients);
  row.clear_grad = runs && options.clear_gradients && g.writeable();
  if (row.write_grad && !g.writeable()) {
    throw ValueError(cat("[update] ", entry.path,
                         ": the gradient is read-only, and a hook has to change it in memory"));
  }
  row.grad = memory_of(g, row.write_grad || row.clear_grad);
  const bool plain = data.dtype() == Dtype::float32 || data.dtype() == Dtype::float64;
  entry.mastered = rule.master().defined();
  row.in_place = runs && plain && (row.state_count == 0 || row.state_dtype == row.param_dtype);
  if (row.in_place && bare && data.is_contiguous() && g.is_contiguous()) {
    entry.familiar = true;
    entry.revision = rule.revision();
    entry.version = rule.version();
    entry.variant = rule.resolve(entry.path).variant;
    entry.raw = data.raw();
    entry.storage = data.storage();
    entry.shape = data.shape();
  }
  return true;
}

void UpdateTable::prepare_coefs(Entry& entry,
                                Row& row,
                                const UpdateRule::Resolved& resolved,
                                const UpdateOptions& options,
                                Planning& planning) {
  UpdateRule& rule = *entry.rule;
  const std::int64_t t = rule.t + (options.counted ? 0 : 1);
  if (resolved.vanishing && row.param_dtype != static_cast<std::uint8_t>(Dtype::float64)) {
    refuse_vanishing(rule, resolved.values, entry.path);
  }
  set_key(row, rule.policies().seed, t);
  const Algorithm& algorithm = *rule.algorithm();
  // Most rules have the values of the one before, and what depends on nothing else is the same.
  const bool alone = !resolved.variant->uses_scalars;
  entry.scales = !alone;
  if (alone && planning.prepared.is_of(resolved, algorithm.fields.size(), t)) {
    std::copy_n(planning.prepared.coefs, resolved.variant->coef_count, row.coefs);
    return;
  }
  if (!alone) std::copy(std::begin(rule.scalars), std::end(rule.scalars), entry.scalars);
  planning.prepared.variant = nullptr;
  resolved.variant->prepare(resolved.values, {t, entry.scalars, &planning.powers}, row.coefs);
  if (!all_finite(row.coefs, resolved.variant->coef_count)) {
    refuse_coefs(rule, resolved, t, entry.path);
  }
  if (alone) planning.prepared.keep(resolved, row.coefs, t);
}

// The steps of a row's gradient; they are fused when norms are known.
void UpdateTable::plan_programs(UpdateRule& rule, Row& row, double decay_scale) {
  row.shared_steps = program_.data();
  row.shared_count = static_cast<std::int16_t>(program_.size());
  rule.program.clear();
  for (const Ref<GradientHook>& hook : rule.hooks) {
    rule.program.push_back(checked_step(*hook, decay_scale));
  }
  row.own_steps = rule.program.data();
  row.own_count = static_cast<std::int16_t>(rule.program.size());
  row.programmed = row.shared_count + row.own_count > 0;
  row.fused = update::Fused::none;
}

void UpdateTable::plan_rule(Entry& entry,
                            Row& row,
                            const UpdateOptions& options,
                            Planning& planning) {
  UpdateRule& rule = *entry.rule;
  const Array& data = entry.param->data();
  if (!data.writeable()) {
    throw ValueError(cat("[update] ", entry.path, ": the parameter's array is read-only"));
  }
  const UpdateRule::Resolved& resolved = rule.resolve(entry.path);
  if (rule.cautious && !resolved.variant->additive) {
    throw ValueError(cat("[update] ", entry.path, ": Cautious does not go with ",
                         rule.algorithm()->name, ", whose update depends on the parameter"));
  }
  if (const TensorRule* tensor = rule.algorithm()->tensor) {
    tensor->check(resolved.values, data.shape(), entry.path);
    const bool wide = data.dtype() == Dtype::float64;
    tensor->check_device(data.device(), wide ? Dtype::float64 : Dtype::float32, entry.path);
  }
  prepare_coefs(entry, row, resolved, options, planning);

  const bool mastered = rule.fp32_update && is_half(data.dtype());
  plan_programs(rule, row, options.chainer_order && !mastered ? options.loss_scale : 1);

  if (mastered) {
    row.param = rule.master(data).raw();
    row.param_dtype = static_cast<std::uint8_t>(Dtype::float32);
    row.half = memory_of(data, true);
    row.half_dtype = static_cast<std::uint8_t>(data.dtype());
  } else {
    row.param = memory_of(data, true);
  }

  const auto& places = resolved.variant->states;
  const int every = static_cast<int>(rule.algorithm()->states.size());
  const std::size_t known = fresh_.size();
  for (int place = 0; place < every; ++place) {
    fresh_.push_back({entry.rule, place, rule.stored_state(place)});
  }
  rule.prepare_states(*resolved.variant, mastered ? rule.master(data) : data,
                      mastered ? Dtype::float32 : data.dtype(), entry.path);
  const auto unchanged = [&](const Fresh& fresh) {
    return fresh.before.values.storage() == rule.state(fresh.place).storage();
  };
  fresh_.erase(
      std::remove_if(fresh_.begin() + static_cast<std::ptrdiff_t>(known), fresh_.end(), unchanged),
      fresh_.end());
  row.state_count = static_cast<std::uint8_t>(places.size());
  row.squares = 0;
  for (std::size_t i = 0; i < places.size(); ++i) {
    const StoredState& state = rule.stored_state(places[i]);
    const bool square = rule.algorithm()->states[static_cast<std::size_t>(places[i])].square;
    row.state[i] = state.values.raw();
    row.scale[i] = state.is_coded() ? state.scales.data<float>() : nullptr;
    row.squares = static_cast<std::uint8_t>(row.squares | (square ? 1u << i : 0u));
  }
  if (!places.empty()) {
    row.state_dtype = static_cast<std::uint8_t>(rule.state(places[0]).dtype());
  }
  row.stochastic = rule.policies().stochastic && !mastered && is_half(data.dtype());
  row.stochastic_states = rule.policies().state_dtype == Policies::StateDtype::bfloat16;
  row.rule = resolved.variant->rule;
  row.sums = resolved.variant->sums;
  row.traced = resolved.variant->lowered ? &resolved.variant->lowered->program() : nullptr;
  entry.counts = entry.takes_part = !options.counted;
  entry.steps = true;
}

}  // namespace chainrule
