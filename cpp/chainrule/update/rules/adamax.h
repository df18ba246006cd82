#pragma once

#include "chainrule/update/rule.h"

namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// Kingma, Ba, "Adam", 2014, section 7.1: the second moment is a decaying maximum. `eps` is added
// to the gradient's size, so that the maximum is never zero.
struct Adamax {
  static constexpr char name[] = "Adamax";
  static constexpr Field fields[] = {{"alpha", 0.002},
                                     {"beta1", 0.9},
                                     {"beta2", 0.999},
                                     {"eps", 1e-8, FieldKind::vanishing},
                                     {"weight_decay", 0.0}};
  struct Values {
    double alpha, beta1, beta2, eps, weight_decay;
  };
  static constexpr auto states = names("m", "u");

  template <class T>
  struct Coefs {
    T rate, one_minus_beta1, beta2, eps, keep;
  };
  static Coefs<double> prepare(const Values& h, const Step& step) {
    return {h.alpha / (1 - step.power(h.beta1)), 1 - h.beta1, h.beta2, h.eps,
            1 - h.alpha * h.weight_decay};
  }

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p, T& m, T& u) {
    m += c.one_minus_beta1 * (g - m);
    u = functors::math::max(c.beta2 * u, functors::math::abs(g) + c.eps);
    p = multiply_add(c.keep, p, -c.rate * m / u);
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
