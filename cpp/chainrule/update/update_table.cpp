#include "chainrule/update/update_table.h"

#include <algorithm>
#include <atomic>
#include <unordered_map>

#include "chainrule/backend/elementwise.h"
#include "chainrule/core/error.h"
#include "chainrule/update/gradient_program.h"
#include "chainrule/update/tensor_rules/tensor_rule.h"

namespace chainrule {
namespace {

using update::kNoRule;
using update::Row;

std::atomic<std::int64_t> structure{0};

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

void check_coefs(const UpdateRule& rule,
                 const UpdateRule::Resolved& resolved,
                 const Row& row,
                 std::int64_t t,
                 const std::string& path) {
  const Algorithm& algorithm = *rule.algorithm();
  double zero = 0;
  for (int i = 0; i < resolved.variant->coef_count; ++i) zero += 0 * row.coefs[i];
  if (zero == 0) return;
  std::string values;
  for (std::size_t i = 0; i < algorithm.fields.size(); ++i) {
    values += cat(i ? ", " : "", algorithm.fields[i].name, "=", resolved.values[i]);
  }
  throw ValueError(cat("[update] ", path, ": ", algorithm.name, " has no finite step ", t,
                       " with these hyperparameters: got ", values));
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

std::int64_t structure_version() { return structure.load(std::memory_order_relaxed); }
void structure_changed() { structure.fetch_add(1, std::memory_order_relaxed); }

void UpdateTable::clear() {
  entries_.clear();
  rows_.clear();
  parts_.clear();
  known_.clear();
  shares_ = false;
  changed_ = true;
}

void UpdateTable::add(Ref<VariableImpl> param,
                      Ref<UpdateRule> rule,
                      std::string path,
                      bool by_host) {
  if (!known_.insert(param.get()).second) return;
  if (!by_host && !known_.insert(rule.get()).second) {
    throw ValueError(cat("[update] ", path,
                         " has the rule of another parameter, but rules keep states: make one "
                         "for each"));
  }
  if (clock_) rule->set_clock(clock_);
  if (rule->enabled_when()) timed_ = true;
  shares_ |= !by_host && rule->algorithm() && rule->algorithm()->shares_sums();
  Entry entry{};
  entry.param = std::move(param);
  entry.rule = std::move(rule);
  entry.path = std::move(path);
  entry.by_host = by_host;
  entries_.push_back(std::move(entry));
  rows_.emplace_back();
  changed_ = true;
}

// A contiguous array's memory, or that of a contiguous copy.
void* UpdateTable::memory_of(const Array& array, bool back) {
  if (array.is_contiguous()) return array.raw();
  detours_.push_back({array, copied(array), back});
  return detours_.back().copy.raw();
}

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
bool UpdateTable::plan_familiar(Entry& entry, Row& row, const UpdateOptions& options) {
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
  const UpdateRule::Resolved& resolved = rule.resolve(entry.path);
  if (resolved.variant != entry.variant) return false;
  row.grad = g.raw();
  row.skip = false;
  row.observed = rule.observed;
  row.clear_grad = options.clear_gradients && g.writeable();
  if (row.programmed || !program_.empty() || !rule.hooks.empty()) plan_programs(rule, row, 1);
  if (rule.version() != entry.version || !resolved.variant->constant) {
    if (rule.algorithm()->tensor && rule.version() != entry.version) return false;
    prepare_coefs(entry, row, resolved, options);
    entry.version = rule.version();
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
bool UpdateTable::plan_row(Entry& entry, Row& row, const UpdateOptions& options) {
  UpdateRule& rule = *entry.rule;
  const bool bare = !options.gradients_only && !options.inspect && !options.write_gradients;
  if (entry.familiar && bare && plan_familiar(entry, row, options)) return true;
  entry.familiar = false;
  entry.counts = entry.steps = entry.takes_part = false;
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
    std::copy(std::begin(rule.scalars), std::end(rule.scalars), entry.scalars);
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
    plan_rule(entry, row, options);
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
                                const UpdateOptions& options) {
  UpdateRule& rule = *entry.rule;
  const std::int64_t t = rule.t + (options.counted ? 0 : 1);
  if (resolved.vanishing && row.param_dtype != static_cast<std::uint8_t>(Dtype::float64)) {
    refuse_vanishing(rule, resolved.values, entry.path);
  }
  set_key(row, rule.policies().seed, t);
  const Algorithm& algorithm = *rule.algorithm();
  // Most rules have the values of the one before, and what depends on nothing else is the same.
  const bool alone = algorithm.scalars.empty();
  if (alone && prepared_.is_of(resolved, algorithm.fields.size(), t)) {
    std::copy_n(prepared_.coefs, resolved.variant->coef_count, row.coefs);
    return;
  }
  for (std::size_t i = 0; i < algorithm.scalars.size(); ++i) entry.scalars[i] = rule.scalars[i];
  prepared_.variant = nullptr;
  resolved.variant->prepare(resolved.values, {t, entry.scalars, &powers_}, row.coefs);
  check_coefs(rule, resolved, row, t, entry.path);
  if (alone) prepared_.keep(resolved, row.coefs, t);
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

void UpdateTable::plan_rule(Entry& entry, Row& row, const UpdateOptions& options) {
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
  prepare_coefs(entry, row, resolved, options);

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

// What rules that measure together have found is known to them all, also to one that is new or
// that had no gradient for a while: the one with the most updates tells it.
void UpdateTable::share_scalars() {
  std::unordered_map<const Algorithm*, const UpdateRule*> leaders;
  const auto shares = [](const Entry& entry) {
    return !entry.by_host && entry.rule->algorithm() && entry.rule->algorithm()->shares_sums();
  };
  for (const Entry& entry : entries_) {
    if (!shares(entry)) continue;
    const UpdateRule*& leader = leaders[entry.rule->algorithm()];
    if (!leader || entry.rule->t > leader->t) leader = entry.rule.get();
  }
  for (const Entry& entry : entries_) {
    if (!shares(entry)) continue;
    const UpdateRule& leader = *leaders[entry.rule->algorithm()];
    if (std::equal(std::begin(leader.scalars), std::end(leader.scalars), entry.rule->scalars)) {
      continue;
    }
    told_.push_back({entry.rule, std::to_array(entry.rule->scalars)});
    std::copy(std::begin(leader.scalars), std::end(leader.scalars), entry.rule->scalars);
  }
}

void UpdateTable::prepare(const UpdateOptions& options) {
  if (running_) {
    throw Error("[update] this optimizer is updating in another thread at this moment");
  }
  try {
    plan(options);
  } catch (...) {
    abandon();
    throw;
  }
}

void UpdateTable::abandon() {
  if (running_) return;  // they belong to the step of another thread
  std::for_each(fresh_.rbegin(), fresh_.rend(), [](const Fresh& fresh) { fresh.take_back(); });
  fresh_.clear();
  std::for_each(told_.rbegin(), told_.rend(), [](const Told& told) { told.take_back(); });
  told_.clear();
  decided_ = false;
}

// Thousands of rules, variables, gradients and their memory lie all over: what entry i needs is
// asked for in time, one link of the chain after the other.
void UpdateTable::prefetch(std::size_t i) const {
  constexpr std::size_t kLink = 4;
  const auto entry = [&](std::size_t links) -> const Entry* {
    const std::size_t place = i + links * kLink;
    return place < entries_.size() ? &entries_[place] : nullptr;
  };
  if (const Entry* farthest = entry(4)) {
    __builtin_prefetch(farthest);
    __builtin_prefetch(&farthest->revision);
    __builtin_prefetch(&farthest->shape);
  }
  if (const Entry* far = entry(3)) {
    __builtin_prefetch(far->rule.get());
    __builtin_prefetch(far->param.get());
    __builtin_prefetch(&far->param->grad());
  }
  if (const Entry* middle = entry(2); middle && middle->param->grad().defined()) {
    __builtin_prefetch(middle->param->grad().impl().get());
  }
  if (const Entry* near = entry(1); near && near->param->grad().defined()) {
    __builtin_prefetch(near->param->grad().array().storage().get());
  }
}

void UpdateTable::note_needs(const Entry& entry, const Row& row) {
  needs_.programs |= row.programmed;
  needs_.sums |= row.sums > 0;
  needs_.statistics |= row.observed;
  needs_.masks |= entry.rule->cautious;
  needs_.directions |= entry.rule->algorithm() && entry.rule->algorithm()->tensor;
  needs_.scratch |= needs_.masks || needs_.directions;
}

void UpdateTable::plan(const UpdateOptions& options) {
  detours_.clear();
  checked_ = false;
  freezes_ = !options.chainer_order;
  half_ = options.half;
  asks_ = !options.gradients_only && !options.inspect;
  commits_ = asks_ && half_ != UpdateOptions::Half::hosted;
  plan_program(options);
  prepared_.variant = nullptr;
  prepared_.missed = 0;
  if (shares_ && asks_) share_scalars();
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    prefetch(i);
    if (entry.rule->enabled_when()) [[unlikely]] {
      entry.rule->require_enabled(entry.path);
      timed_ = true;
    }
    const Device before = entry.device;
    const std::int64_t planned = plan_row(entry, rows_[i], options) ? rows_[i].size : -1;
    changed_ |= planned != entry.planned || !(before == entry.device);
    entry.planned = planned;
    if (planned >= 0) note_needs(entry, rows_[i]);
    if (entry.takes_part && entry.rule->lent) {
      throw Error(
          cat("[update] ", entry.path, " holds its average: leave the block of averaged() first"));
    }
    checked_ |=
        entry.takes_part && entry.rule->policies().on_nonfinite != Policies::OnNonfinite::ignore;
    if (asks_ && half_ != UpdateOptions::Half::rest && !options.counted) {
      entry.rule->updated = false;
    }
  }
  if (changed_) cut();
  clears_ = options.clear_gradients && asks_;
  if (clears_) keep_shared_gradients();
}

}  // namespace chainrule
