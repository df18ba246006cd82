#pragma once

#include "chainrule/update/rule.h"

// Element-wise stages on the way to a direction (update/tensor_rules). They run in the same sweep
// as rules, with `p` as what they make and `g` as what they read, and are no algorithms.
namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// A running mean, and a mixture of it with what came in.
struct MomentumStage {
  static constexpr bool is_stage = true;
  static constexpr auto states = names("m");

  template <class T>
  struct Coefs {
    T rate, mixed;  // of m towards g, and of p from g towards m
  };

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p, T& m) {
    m += c.rate * (g - m);
    p = g + c.mixed * (m - g);
  }
};

struct ScaleStage {
  static constexpr bool is_stage = true;
  static constexpr auto states = names();

  template <class T>
  struct Coefs {
    T factor;
  };

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p) {
    p = c.factor * g;
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
