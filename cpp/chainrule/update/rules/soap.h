#pragma once

#include "chainrule/update/rule.h"

namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// Vyas et al., "SOAP: Improving and Stabilizing Shampoo using Adam", 2024. What stands here is the
// last step; update/tensor_rules/soap.cpp makes the direction `u`.
struct SOAP {
  static constexpr char name[] = "SOAP";
  static constexpr Field fields[] = {{"lr", 3e-3},
                                     {"beta1", 0.95},
                                     {"beta2", 0.95},
                                     {"shampoo_beta", 0.95},
                                     {"eps", 1e-8, FieldKind::vanishing},
                                     {"weight_decay", 0.01},
                                     {"precondition_frequency", 10, FieldKind::integer},
                                     {"max_precondition_dim", 10000, FieldKind::integer},
                                     {"precondition_1d", 0, FieldKind::boolean}};
  struct Values {
    double lr, beta1, beta2, shampoo_beta, eps, weight_decay, precondition_frequency,
        max_precondition_dim, precondition_1d;
  };
  static constexpr auto states = names();

  template <class T>
  struct Coefs {
    T rate, keep;
  };
  // The first gradient only makes the basis.
  static Coefs<double> prepare(const Values& h, const Step& step) {
    const std::int64_t t = step.t - 1;
    if (t < 1) return {0, 1};
    const Step past{t, step.scalars, step.powers};
    const double rate = h.lr * __builtin_sqrt(1 - past.power(h.beta2)) / (1 - past.power(h.beta1));
    return {rate, 1 - h.lr * h.weight_decay};
  }

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T u, T& p) {
    p = c.keep * (p - c.rate * u);
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
