#include "chainrule/update/undo.h"

#include <algorithm>
#include <utility>

#include "chainrule/backend/elementwise.h"

namespace chainrule {
namespace {

bool same(const Array& a, const Array& b) {
  if (!a.defined() || !b.defined()) return a.defined() == b.defined();
  return a.raw() == b.raw() && a.storage() == b.storage() && a.shape() == b.shape() &&
         a.dtype() == b.dtype() && a.strides() == b.strides();
}

}  // namespace

Undo::Copy Undo::copy_of(const Array& array) {
  const bool changeable = array.defined() && array.writeable();
  return {array, changeable ? copied(array) : Array()};
}

const Array& Undo::restored(const Copy& copy) {
  if (copy.contents.defined()) copy_into(copy.original, copy.contents);
  return copy.original;
}

void Undo::keep(Ref<VariableImpl> param, Ref<UpdateRule> rule, bool gradient_only) {
  Kept kept;
  kept.gradient_only = gradient_only;
  kept.grad = param->grad();
  if (kept.grad.defined()) kept.grad_copy = copy_of(kept.grad.array());
  if (!gradient_only) {
    kept.data = copy_of(param->data());
    if (rule) {
      kept.t = rule->t;
      kept.skipped = rule->skipped;
      std::copy(std::begin(rule->scalars), std::end(rule->scalars), kept.scalars);
      for (int i = 0; i < kMaxRuleStates; ++i) {
        kept.states[i] = copy_of(rule->state(i));
        kept.scales[i] = copy_of(rule->stored_state(i).scales);
      }
      kept.master = copy_of(rule->master());
    }
    kept.rule = std::move(rule);
  }
  kept.param = std::move(param);
  kept_.push_back(std::move(kept));
}

void Undo::restore() const {
  for (const Kept& kept : kept_) {
    VariableImpl& param = *kept.param;
    if (!kept.gradient_only) {
      const Array& data = restored(kept.data);
      if (!same(param.data(), data)) {
        param.clear_grad();  // it may not fit these data
        param.set_data(data);
      }
    }
    if (kept.grad.defined()) {
      const Array& grad = restored(kept.grad_copy);
      if (!same(kept.grad.array(), grad)) kept.grad->set_data(grad);
    }
    if (param.grad().impl() != kept.grad.impl()) param.set_grad(kept.grad);
    if (!kept.rule) continue;
    UpdateRule& rule = *kept.rule;
    rule.set_t(kept.t);
    rule.skipped = kept.skipped;
    std::copy(std::begin(kept.scalars), std::end(kept.scalars), rule.scalars);
    for (int i = 0; i < kMaxRuleStates; ++i) {
      const Array& state = restored(kept.states[i]);
      const Array& scales = restored(kept.scales[i]);
      if (!same(rule.state(i), state)) rule.set_state(i, state, scales);
    }
    rule.set_master(restored(kept.master));
  }
}

}  // namespace chainrule
