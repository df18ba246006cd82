#pragma once

#include "chainrule/update/rule.h"

namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// Graves, "Generating Sequences With Recurrent Neural Networks", 2013, equations 38 to 45.
struct RMSpropGraves {
  static constexpr char name[] = "RMSpropGraves";
  static constexpr Field fields[] = {{"lr", 1e-4},
                                     {"alpha", 0.95},
                                     {"momentum", 0.9},
                                     {"eps", 1e-4, FieldKind::vanishing}};
  struct Values {
    double lr, alpha, momentum, eps;
  };
  static constexpr auto states = names("n", "g", "delta");
  static constexpr bool squares[] = {true, false, false};

  template <class T>
  struct Coefs {
    T lr, alpha, one_minus_alpha, momentum, eps;
  };
  static Coefs<double> prepare(const Values& h) {
    return {h.lr, h.alpha, 1 - h.alpha, h.momentum, h.eps};
  }

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T grad, T& p, T& n, T& g, T& delta) {
    n = multiply_add(c.alpha, n, c.one_minus_alpha * grad * grad);
    g = multiply_add(c.alpha, g, c.one_minus_alpha * grad);
    const T root = functors::math::sqrt(n - g * g + c.eps);
    delta = multiply_add(c.momentum, delta, -c.lr * grad / root);
    p += delta;
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
