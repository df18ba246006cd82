#include "chainrule/update/weights.h"

#include <cmath>

#include "chainrule/backend/elementwise.h"
#include "chainrule/core/error.h"
#include "chainrule/update/rule_list.h"
#include "chainrule/update/sweep.h"

namespace chainrule {
namespace {

using update::place_of;
using update::Row;

void check(const std::string& op, const HookedWeight& weight) {
  const Array& data = weight.param->data();
  const std::string& name = weight.param->name();
  if (!data.defined()) throw TypeError(cat("[", op, "] ", name, ": the parameter has no array"));
  const Dtype dtype = data.dtype() == Dtype::float64 ? Dtype::float64 : Dtype::float32;
  if (weight.own.shape() != data.shape()) {
    throw ValueError(cat("[", op, "] ", name, ": array of the wrong shape: got ",
                         weight.own.shape(), ", expected ", data.shape()));
  }
  if (weight.own.dtype() != dtype || !weight.own.is_contiguous()) {
    throw TypeError(cat("[", op, "] ", name, ": got an array of ", weight.own.dtype(),
                        ", expected a contiguous one of ", dtype));
  }
  if (weight.own.device() != data.device()) {
    throw TypeError(cat("[", op, "] ", name, ": array on another device than the parameter: got ",
                        weight.own.device(), ", expected ", data.device()));
  }
  if (!is_floating(data.dtype())) {
    throw TypeError(cat("[", op, "] ", name, ": got ", data.dtype(), ", expected floating"));
  }
}

bool has_master(const HookedWeight& weight) {
  return weight.rule && weight.rule->fp32_update && is_half(weight.param->data().dtype());
}

// Calls f(sweep, i) for all weights, one sweep per device.
template <class F>
void sweep_all(const std::vector<HookedWeight>& weights, const F& f) {
  std::vector<bool> done(weights.size());
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (done[i]) continue;
    const Device device = weights[i].param->data().device();
    Sweep sweep(device);
    for (std::size_t k = i; k < weights.size(); ++k) {
      if (done[k] || weights[k].param->data().device() != device) continue;
      done[k] = true;
      // What was not updated is left alone.
      if (!weights[k].rule || weights[k].rule->updated) f(sweep, weights[k]);
    }
    sweep.run();
  }
}

}  // namespace

void check_weights(const std::string& op, const std::vector<HookedWeight>& weights) {
  for (const HookedWeight& weight : weights) check(op, weight);
}

void average_weights(const std::vector<HookedWeight>& weights, double rate) {
  check_weights("EMA", weights);
  std::vector<Array> copies;
  sweep_all(weights, [&](Sweep& sweep, const HookedWeight& weight) {
    const Array& data = weight.param->data();
    copies.push_back(has_master(weight) ? weight.rule->master(data) : as_contiguous(data));
    sweep.add_stage(place_of<update::MeanStage>, {rate}, weight.own, copies.back());
  });
}

void look_ahead(const std::vector<HookedWeight>& weights, double alpha) {
  check_weights("Lookahead", weights);
  for (const HookedWeight& weight : weights) {
    if (weight.param->data().writeable()) continue;
    throw ValueError(
        cat("[Lookahead] ", weight.param->name(), ": the parameter's array is read-only"));
  }
  std::vector<std::pair<Array, Array>> detours;
  sweep_all(weights, [&](Sweep& sweep, const HookedWeight& weight) {
    const Array& data = weight.param->data();
    const Array here = as_contiguous(data);
    if (here.raw() != data.raw()) detours.emplace_back(data, here);
    Row row = row_of(here.raw(), here.dtype(), here.size());
    if (has_master(weight)) {
      row = row_of(weight.rule->master(data).raw(), Dtype::float32, here.size());
      row.half = here.raw();
      row.half_dtype = static_cast<std::uint8_t>(here.dtype());
    }
    row.rule = place_of<update::LookaheadStage>;
    row.state[row.state_count++] = weight.own.raw();
    row.state_dtype = static_cast<std::uint8_t>(weight.own.dtype());
    row.coefs[0] = alpha;
    sweep.add(row);
  });
  for (const auto& [original, copy] : detours) copy_into(original, copy);
}

namespace {

bool fits(const Array& array, const Array& values) {
  return array.shape() == values.shape() && array.dtype() == values.dtype() &&
         array.device() == values.device() && array.writeable();
}

}  // namespace

Perturbation::Perturbation(const std::vector<Ref<VariableImpl>>& params, double rho) {
  std::vector<HookedWeight> weights;
  for (const Ref<VariableImpl>& param : params) {
    const Array& data = param->data();
    if (!data.defined() || !param->grad().defined() || data.size() == 0) continue;
    if (!data.writeable()) {
      throw ValueError(cat("[SAM] ", param->name(), ": the parameter's array is read-only"));
    }
    const Array& grad = param->grad().array();
    if (grad.shape() != data.shape() || grad.device() != data.device()) {
      throw ValueError(cat("[SAM] ", param->name(), ": gradient of the wrong shape: got ",
                           grad.shape(), ", expected ", data.shape()));
    }
    weights.push_back({param, {}, {}});
  }
  double sum = 0;
  for (const HookedWeight& weight : weights) {
    const Array grad = as_contiguous(weight.param->grad().array());
    sum += sums_of_squares(grad.device(), {row_of(grad.raw(), grad.dtype(), grad.size())})[0];
  }
  const double norm = std::sqrt(sum);
  if (!(norm > 0) || !std::isfinite(norm)) return;
  // All copies are made before anything moves.
  for (const HookedWeight& weight : weights) {
    const Array& data = weight.param->data();
    saved_.push_back({weight.param, data, copied(data)});
  }
  std::vector<std::pair<Array, Array>> moved;
  std::vector<Array> grads;
  sweep_all(weights, [&](Sweep& sweep, const HookedWeight& weight) {
    const Array& data = weight.param->data();
    moved.emplace_back(data, as_contiguous(data));
    grads.push_back(as_contiguous(weight.param->grad().array()));
    const Array& here = moved.back().second;
    Row row = row_of(grads.back().raw(), grads.back().dtype(), here.size());
    row.param = here.raw();
    row.param_dtype = static_cast<std::uint8_t>(here.dtype());
    row.rule = place_of<update::PerturbStage>;
    row.coefs[0] = rho / norm;
    sweep.add(row);
  });
  for (const auto& [original, here] : moved) {
    if (original.raw() != here.raw()) copy_into(original, here);
  }
}

void Perturbation::restore() {
  for (const Saved& saved : saved_) {
    copy_into(saved.memory, saved.values);
    // Whoever computed the second gradient may have moved the parameter to other memory.
    const Array& now = saved.param->data();
    if (now.defined() && now.raw() != saved.memory.raw() && fits(now, saved.values)) {
      copy_into(now, saved.values);
    }
  }
  saved_.clear();
}

}  // namespace chainrule
