#pragma once

#include <cstdint>

namespace chainrule {

// What a rule does where things go wrong, and how much memory its states take.
struct Policies {
  // A gradient with an infinity or NaN: the rule sees it; this parameter stays; all parameters of
  // the optimizer stay; the update raises. Decided before anything is changed.
  enum class OnNonfinite : std::uint8_t { ignore, skip_param, skip_step, raise };
  // A parameter without a gradient: untouched; updated with zeros; the update raises.
  enum class MissingGrad : std::uint8_t { skip, zero, raise };
  // What states are stored as; `natural` is the dtype of the parameter (of its float32 copy, if
  // it has one). Reduced states are rounded stochastically.
  enum class StateDtype : std::uint8_t { natural, float32, bfloat16, int8 };

  OnNonfinite on_nonfinite = OnNonfinite::ignore;
  MissingGrad missing_grad = MissingGrad::skip;
  StateDtype state_dtype = StateDtype::natural;
  bool stochastic = false;  // how a half-precision parameter without a float32 copy is rounded
  std::uint64_t seed = 0;   // of random bits; a step's are a function of seed and `t`
};

}  // namespace chainrule
