#pragma once

#include "chainrule/update/rule.h"

namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// Tieleman, Hinton, "Lecture 6.5 - rmsprop", 2012. `eps` stands outside the root or, with
// `eps_inside_sqrt`, inside it: one of the two coefficients is zero.
struct RMSprop {
  static constexpr char name[] = "RMSprop";
  static constexpr Field fields[] = {{"lr", 0.01},
                                     {"alpha", 0.99},
                                     {"eps", 1e-8, FieldKind::vanishing},
                                     {"eps_inside_sqrt", 0, FieldKind::boolean}};
  struct Values {
    double lr, alpha, eps, eps_inside_sqrt;
  };
  static constexpr auto states = names("ms");
  static constexpr bool squares[] = {true};

  template <class T>
  struct Coefs {
    T lr, alpha, one_minus_alpha, eps_inside, eps_outside;
  };
  static Coefs<double> prepare(const Values& h) {
    const bool inside = h.eps_inside_sqrt != 0;
    return {h.lr, h.alpha, 1 - h.alpha, inside ? h.eps : 0, inside ? 0 : h.eps};
  }

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p, T& ms) {
    ms = multiply_add(c.alpha, ms, c.one_minus_alpha * g * g);
    p -= c.lr * g / (functors::math::sqrt(ms + c.eps_inside) + c.eps_outside);
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
