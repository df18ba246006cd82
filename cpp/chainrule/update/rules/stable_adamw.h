#pragma once

#include "chainrule/update/rule.h"

namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// Wortsman et al., "Stable and low-precision training for large-scale vision-language models",
// 2023, algorithm 2: AdamW whose rate shrinks where the second moment lags behind the gradients.
// The moments are corrected for their start by decays that grow, as in AdaFactor.
struct StableAdamW {
  static constexpr char name[] = "StableAdamW";
  static constexpr Field fields[] = {{"alpha", 0.001},
                                     {"beta1", 0.9},
                                     {"beta2", 0.99},
                                     {"eps", 1e-6, FieldKind::vanishing},
                                     {"weight_decay", 0.01}};
  struct Values {
    double alpha, beta1, beta2, eps, weight_decay;
  };
  static constexpr auto states = names("m", "v");
  static constexpr int sums = 1;

  template <class T>
  struct Coefs {
    T rate, one_minus_beta1, one_minus_beta2, eps, eps_squared, keep;
  };
  static Coefs<double> prepare(const Values& h, const Step& step) {
    return {h.alpha,
            (1 - h.beta1) / (1 - step.power(h.beta1)),
            (1 - h.beta2) / (1 - step.power(h.beta2)),
            h.eps,
            h.eps * h.eps,
            1};
  }

  template <class T>
  CR_INLINE static Sums<T, 1> measure(const Coefs<T>& c, T g, T, T& m, T& v) {
    m += c.one_minus_beta1 * (g - m);
    v += c.one_minus_beta2 * (g * g - v);
    return {{g * g / functors::math::max(v, c.eps_squared)}};
  }
  static void refine(const Values& h,
                     const Step&,
                     std::int64_t size,
                     const double* ratios,
                     Coefs<double>& c) {
    const double rms = __builtin_sqrt(ratios[0] / static_cast<double>(size));
    // Comparisons with NaN are false.
    c.rate = rms > 1 ? h.alpha / rms : h.alpha;
    c.keep = 1 - c.rate * h.weight_decay;
  }
  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T, T& p, T& m, T& v) {
    p = multiply_add(c.keep, p, -c.rate * m / (functors::math::sqrt(v) + c.eps));
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
