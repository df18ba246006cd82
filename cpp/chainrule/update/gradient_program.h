#pragma once

#include "chainrule/core/api.h"
#include "chainrule/update/gradient_hook.h"
#include "chainrule/update/plan.h"

namespace chainrule {

// A hook's step with its present numbers, the decay of weights multiplied by `decay_scale`.
// Throws where a number is NaN.
CHAINRULE_API update::GradientStep checked_step(const GradientHook& hook, double decay_scale);

// Which form a program has.
CHAINRULE_API update::Fused form_of(const update::FusedProgram& program);

// The program that leaves gradients as they are.
CHAINRULE_API update::FusedProgram no_program();

// Adds steps to a fused program; false where the result has not the form of one.
CHAINRULE_API bool fuse(update::FusedProgram& program,
                        const update::GradientStep* steps,
                        int count);

}  // namespace chainrule
