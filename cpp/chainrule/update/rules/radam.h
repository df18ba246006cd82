#pragma once

#include "chainrule/update/rule.h"

namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond", 2019: Adam whose rate
// allows for the variance of 1/sqrt(v), and momentum SGD in the first steps, where that variance
// has no bound. The threshold for it is 5, as in the authors' program, not 4 as in the paper.
struct RAdam {
  static constexpr char name[] = "RAdam";
  static constexpr Field fields[] = {{"alpha", 0.001},
                                     {"beta1", 0.9},
                                     {"beta2", 0.999},
                                     {"eps", 1e-8, FieldKind::vanishing},
                                     {"weight_decay", 0.0}};
  struct Values {
    double alpha, beta1, beta2, eps, weight_decay;
  };
  static constexpr auto states = names("m", "v");

  template <class T>
  struct Coefs {
    T rate, one_minus_beta1, one_minus_beta2, eps, adaptive, keep;
  };
  static Coefs<double> prepare(const Values& h, const Step& step) {
    const double power2 = step.power(h.beta2);
    const double rho_inf = 2 / (1 - h.beta2) - 1;
    const double rho = rho_inf - 2 * static_cast<double>(step.t) * power2 / (1 - power2);
    const bool adaptive = rho > 5;
    double rate = h.alpha / (1 - step.power(h.beta1));
    if (adaptive) {
      rate *= __builtin_sqrt((rho - 4) * (rho - 2) * rho_inf /
                             ((rho_inf - 4) * (rho_inf - 2) * rho) * (1 - power2));
    }
    const double keep = 1 - h.alpha * h.weight_decay;
    return {rate, 1 - h.beta1, 1 - h.beta2, h.eps, adaptive ? 1.0 : 0.0, keep};
  }

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p, T& m, T& v) {
    m += c.one_minus_beta1 * (g - m);
    v += c.one_minus_beta2 * (g * g - v);
    const T root = functors::math::sqrt(v) + c.eps;
    const T divisor = functors::math::select(c.adaptive > T(0), root, T(1));
    p = multiply_add(c.keep, p, -c.rate * m / divisor);
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
