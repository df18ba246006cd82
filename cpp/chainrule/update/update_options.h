#pragma once

#include <cstdint>
#include <vector>

#include "chainrule/core/ref.h"
#include "chainrule/update/gradient_hook.h"

namespace chainrule {

// What holds for a whole update.
struct UpdateOptions {
  // Hooks on all parameters, in order.
  std::vector<Ref<GradientHook>> hooks;
  // What gradients were multiplied by; divided out before the hooks see them.
  double loss_scale = 1;
  // As Chainer had it: divided out after `hooks`, of which only the decay of weights allows for
  // the scale (and still does on a rule, where it is divided out already); `hooks` see disabled
  // parameters too.
  bool chainer_order = false;
  // Leaves the gradients in memory as the rules saw them.
  bool write_gradients = false;
  // Parameters without data are passed over, not refused.
  bool allow_uninitialized = false;
  // The rules' `t` already counts this update.
  bool counted = false;
  // Leaves gradients of zeros behind, written in the same sweep where there is one.
  bool clear_gradients = false;
  // No rule runs: the hooks change the gradients in memory.
  bool gradients_only = false;
  // A step in two halves, between which the host runs its own rules: the first checks every row and
  // changes the gradients of rows that the host updates, the second updates the others, with the
  // norms that the first found.
  enum class Half : std::uint8_t { both, hosted, rest };
  Half half = Half::both;
  // Nothing runs at all: the rows are for looking at.
  bool inspect = false;

  // Whether rules run and nothing more is asked for.
  bool bare() const { return !gradients_only && !inspect && !write_gradients; }
};

}  // namespace chainrule
