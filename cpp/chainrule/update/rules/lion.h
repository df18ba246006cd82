#pragma once

#include "chainrule/update/rule.h"

namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023, program 1. The decay of the
// parameter itself is multiplied by the rate, here and in all rules with a `weight_decay`.
struct Lion {
  static constexpr char name[] = "Lion";
  static constexpr Field fields[] = {{"lr", 1e-4},
                                     {"beta1", 0.9},
                                     {"beta2", 0.99},
                                     {"weight_decay", 0.0}};
  struct Values {
    double lr, beta1, beta2, weight_decay;
  };
  static constexpr auto states = names("m");

  template <class T>
  struct Coefs {
    T lr, one_minus_beta1, one_minus_beta2, keep;
  };
  static Coefs<double> prepare(const Values& h) {
    return {h.lr, 1 - h.beta1, 1 - h.beta2, 1 - h.lr * h.weight_decay};
  }

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p, T& m) {
    const T u = m + c.one_minus_beta1 * (g - m);
    p = multiply_add(c.keep, p, -c.lr * functors::math::sign(u));
    m += c.one_minus_beta2 * (g - m);
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
