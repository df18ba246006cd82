#pragma once

#include "chainrule/core/ref.h"
#include "chainrule/update/plan.h"

namespace chainrule {

// A hook that the table carries out itself, in the sweep that updates. Its numbers are read at
// each step, so that they may be changed at any time.
class GradientHook : public RefCounted {
 public:
  enum class Kind : std::uint8_t {
    weight_decay,  // a: rate
    lasso,         // a: rate
    hard_clip,     // a, b: bounds
    clip_norm,     // a: greatest norm of all gradients together
    scale,         // a: factor
  };

  explicit GradientHook(Kind hook_kind, double first = 0, double second = 0)
      : kind(hook_kind), a(first), b(second) {}

  const Kind kind;
  double a;
  double b;

  // Whether it can stand on one parameter's rule.
  bool per_parameter() const { return kind != Kind::clip_norm; }

  // A norm's factor is filled in when the norm is known.
  update::GradientStep step() const {
    switch (kind) {
      case Kind::weight_decay:
        return {update::GradientOp::weight_decay, a, 0};
      case Kind::lasso:
        return {update::GradientOp::lasso, a, 0};
      case Kind::hard_clip:
        return {update::GradientOp::clip, a, b};
      case Kind::scale:
        return {update::GradientOp::scale, a, 0};
      case Kind::clip_norm:
        break;
    }
    return {update::GradientOp::scale, 1, 0};
  }
};

}  // namespace chainrule
