#pragma once

#include "chainrule/update/rule.h"

namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// Dozat, "Incorporating Nesterov Momentum into Adam", 2016, with the momentum's warm-up of the
// paper's experiments: mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2).
struct NAdam {
  static constexpr char name[] = "NAdam";
  static constexpr Field fields[] = {{"alpha", 0.002},          {"beta1", 0.9},
                                     {"beta2", 0.999},          {"eps", 1e-8, FieldKind::vanishing},
                                     {"momentum_decay", 0.004}, {"weight_decay", 0.0}};
  struct Values {
    double alpha, beta1, beta2, eps, momentum_decay, weight_decay;
  };
  static constexpr auto states = names("m", "v");
  // The product of all mu so far.
  static constexpr auto scalars = names("mu_product");
  static void begin(const Values&, double* scalars) { scalars[0] = 1; }

  template <class T>
  struct Coefs {
    T gradient_rate, moment_rate, one_minus_beta1, one_minus_beta2, unbias, eps, keep;
  };

  static double mu(const Values& h, std::int64_t t) {
    const double exponent = static_cast<double>(t) * h.momentum_decay;
    return h.beta1 * (1 - 0.5 * __builtin_pow(0.96, exponent));
  }
  static Coefs<double> prepare(const Values& h, const Step& step) {
    const double now = mu(h, step.t);
    const double next = mu(h, step.t + 1);
    const double product = step.scalars[0] *= now;
    return {h.alpha * (1 - now) / (1 - product),
            h.alpha * next / (1 - product * next),
            1 - h.beta1,
            1 - h.beta2,
            1 / (1 - step.power(h.beta2)),
            h.eps,
            1 - h.alpha * h.weight_decay};
  }

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p, T& m, T& v) {
    m += c.one_minus_beta1 * (g - m);
    v += c.one_minus_beta2 * (g * g - v);
    const T scale = T(1) / (functors::math::sqrt(v * c.unbias) + c.eps);
    const T mixed = multiply_add(c.gradient_rate, g, c.moment_rate * m);
    p = multiply_add(c.keep, p, -mixed * scale);
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
