#pragma once

#include "chainrule/update/rule.h"

namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// Zhuang et al., "AdaBelief Optimizer: Adapting Stepsizes by the Belief in Observed Gradients",
// 2020: Adam that divides by how far gradients are from their mean.
struct AdaBelief {
  static constexpr char name[] = "AdaBelief";
  static constexpr Field fields[] = {{"alpha", 0.001},
                                     {"beta1", 0.9},
                                     {"beta2", 0.999},
                                     {"eps", 1e-16, FieldKind::vanishing},
                                     {"weight_decay", 0.0}};
  struct Values {
    double alpha, beta1, beta2, eps, weight_decay;
  };
  static constexpr auto states = names("m", "s");

  template <class T>
  struct Coefs {
    T rate, one_minus_beta1, beta2, one_minus_beta2, unbias, eps, keep;
  };
  static Coefs<double> prepare(const Values& h, const Step& step) {
    return {h.alpha / (1 - step.power(h.beta1)),
            1 - h.beta1,
            h.beta2,
            1 - h.beta2,
            1 / (1 - step.power(h.beta2)),
            h.eps,
            1 - h.alpha * h.weight_decay};
  }

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p, T& m, T& s) {
    m += c.one_minus_beta1 * (g - m);
    const T surprise = g - m;
    s = multiply_add(c.beta2, s, c.one_minus_beta2 * surprise * surprise) + c.eps;
    p = multiply_add(c.keep, p, -c.rate * m / (functors::math::sqrt(s * c.unbias) + c.eps));
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
