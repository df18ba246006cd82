#pragma once

#include "chainrule/update/rule.h"

namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// Duchi, Hazan, Singer, "Adaptive Subgradient Methods", 2011.
struct AdaGrad {
  static constexpr char name[] = "AdaGrad";
  static constexpr Field fields[] = {{"lr", 0.001}, {"eps", 1e-8, FieldKind::vanishing}};
  struct Values {
    double lr, eps;
  };
  static constexpr auto states = names("h");
  static constexpr bool squares[] = {true};

  template <class T>
  struct Coefs {
    T lr, eps;
  };
  static Coefs<double> prepare(const Values& h) { return {h.lr, h.eps}; }

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p, T& h) {
    h += g * g;
    p -= c.lr * g / (functors::math::sqrt(h) + c.eps);
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
