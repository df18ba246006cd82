#include "chainrule/update/gradient_program.h"

#include <algorithm>
#include <limits>

#include "chainrule/core/error.h"

namespace chainrule {
namespace {

using update::FusedProgram;
using update::GradientOp;
using update::GradientStep;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

bool is_bounded(const FusedProgram& program) {
  return program.low != -kInfinity || program.high != kInfinity;
}

bool add(FusedProgram& program, const GradientStep& step) {
  const bool bounded = is_bounded(program);
  switch (step.op) {
    case GradientOp::scale:
      if (bounded && !(step.a > 0 && step.a < kInfinity)) return false;
      program.g_scale *= step.a;
      program.p_scale *= step.a;
      program.sign_scale *= step.a;
      if (bounded) {
        program.low *= step.a;
        program.high *= step.a;
      }
      return true;
    case GradientOp::weight_decay:
      program.p_scale += step.a;
      return !bounded;
    case GradientOp::lasso:
      program.sign_scale += step.a;
      return !bounded;
    case GradientOp::clip:
      program.low = std::min(std::max(program.low, step.a), step.b);
      program.high = std::min(std::max(program.high, step.a), step.b);
      return true;
  }
  return false;
}

}  // namespace

GradientStep checked_step(const GradientHook& hook, double decay_scale) {
  if (hook.a != hook.a || hook.b != hook.b) {
    throw ValueError("[update] a hook's number is NaN");
  }
  GradientStep step = hook.step();
  if (step.op == GradientOp::weight_decay) step.a *= decay_scale;
  return step;
}

update::Fused form_of(const FusedProgram& program) {
  return program.sign_scale == 0 && !is_bounded(program) ? update::Fused::linear
                                                         : update::Fused::bounded;
}

FusedProgram no_program() { return {1, 0, 0, -kInfinity, kInfinity}; }

bool fuse(FusedProgram& program, const GradientStep* steps, int count) {
  return std::all_of(steps, steps + count, [&](const auto& step) { return add(program, step); });
}

}  // namespace chainrule
