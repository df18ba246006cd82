#pragma once

#include "chainrule/update/rule.h"

namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// Pagliardini, Ablin, Grangier, "The AdEMAMix Optimizer: Better, Faster, Older", 2024: Adam with a
// second, much slower mean of gradients. `mixing` is the paper's alpha, and `warmup` its T for
// both schedules, in updates; 0 turns them off.
struct AdEMAMix {
  static constexpr char name[] = "AdEMAMix";
  static constexpr Field fields[] = {{"alpha", 0.001},
                                     {"beta1", 0.9},
                                     {"beta2", 0.999},
                                     {"beta3", 0.9999},
                                     {"mixing", 5.0},
                                     {"warmup", 0, FieldKind::integer},
                                     {"eps", 1e-8, FieldKind::vanishing},
                                     {"weight_decay", 0.0}};
  struct Values {
    double alpha, beta1, beta2, beta3, mixing, warmup, eps, weight_decay;
  };
  static constexpr auto states = names("m1", "m2", "v");

  template <class T>
  struct Coefs {
    T alpha, one_minus_beta1, one_minus_beta2, one_minus_beta3, unbias1, unbias2, mixing, eps, keep;
  };

  // From beta1 to beta3, so that the half-life of the slow mean grows linearly.
  static double slow_beta(const Values& h, double progress) {
    const double start = __builtin_log(h.beta1);
    const double end = __builtin_log(h.beta3);
    const double beta = __builtin_exp(start * end / ((1 - progress) * end + progress * start));
    return beta < h.beta3 ? beta : h.beta3;
  }
  static Coefs<double> prepare(const Values& h, const Step& step) {
    const double t = static_cast<double>(step.t);
    const bool warming = t < h.warmup;
    return {h.alpha,
            1 - h.beta1,
            1 - h.beta2,
            1 - (warming && h.beta1 > 0 ? slow_beta(h, t / h.warmup) : h.beta3),
            1 / (1 - step.power(h.beta1)),
            1 / (1 - step.power(h.beta2)),
            warming ? h.mixing * t / h.warmup : h.mixing,
            h.eps,
            1 - h.alpha * h.weight_decay};
  }

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p, T& m1, T& m2, T& v) {
    m1 += c.one_minus_beta1 * (g - m1);
    m2 += c.one_minus_beta3 * (g - m2);
    v += c.one_minus_beta2 * (g * g - v);
    const T root = functors::math::sqrt(v * c.unbias2) + c.eps;
    const T mixed = multiply_add(c.unbias1, m1, c.mixing * m2);
    p = multiply_add(c.keep, p, -c.alpha * (mixed / root));
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
