#pragma once

#include "chainrule/update/rule.h"

namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// Funk, "RMSprop loses to SMORMS3 - Beware the Epsilon!", 2015.
struct SMORMS3 {
  static constexpr char name[] = "SMORMS3";
  static constexpr Field fields[] = {{"lr", 0.001}, {"eps", 1e-16, FieldKind::vanishing}};
  struct Values {
    double lr, eps;
  };
  static constexpr auto states = names("mem", "g", "g2");
  static constexpr bool squares[] = {false, false, true};
  static constexpr double initial[] = {1, 0, 0};

  template <class T>
  struct Coefs {
    T lr, eps;
  };
  static Coefs<double> prepare(const Values& h) { return {h.lr, h.eps}; }

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T grad, T& p, T& mem, T& g, T& g2) {
    const T r = T(1) / (mem + T(1));
    g = multiply_add(T(1) - r, g, r * grad);
    g2 = multiply_add(T(1) - r, g2, r * grad * grad);
    const T x = g * g / (g2 + c.eps);
    p -= grad * functors::math::min(x, c.lr) / (functors::math::sqrt(g2) + c.eps);
    mem = T(1) + mem * (T(1) - x);
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
