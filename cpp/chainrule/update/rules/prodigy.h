#pragma once

#include "chainrule/update/rule.h"

namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// Mishchenko, Defazio, "Prodigy: An Expeditiously Adaptive Parameter-Free Learner", 2023: Adam
// whose rate is an estimate d of the distance to the solution, made from all parameters together,
// with the weights of the authors' program.
struct Prodigy {
  static constexpr char name[] = "Prodigy";
  static constexpr Field fields[] = {{"alpha", 1.0},
                                     {"beta1", 0.9},
                                     {"beta2", 0.999},
                                     {"beta3", 0.0},
                                     {"eps", 1e-8, FieldKind::vanishing},
                                     {"weight_decay", 0.0},
                                     {"d0", 1e-6, FieldKind::vanishing},
                                     {"d_coef", 1.0},
                                     {"growth_rate", 0.0},
                                     {"use_bias_correction", 0, FieldKind::boolean},
                                     {"safeguard_warmup", 0, FieldKind::boolean}};
  struct Values {
    double alpha, beta1, beta2, beta3, eps, weight_decay, d0, d_coef, growth_rate;
    double use_bias_correction, safeguard_warmup;
  };
  static constexpr auto states = names("m", "v", "s", "p0");
  static constexpr bool reads_param = true;
  static constexpr double initial[] = {0, 0, 0, kParameter};
  // All of them zero: not begun.
  static constexpr auto scalars = names("d", "d_max", "d_numerator");
  static void begin(const Values&, double* scalars) { scalars[0] = scalars[1] = scalars[2] = 0; }
  static constexpr int sums = 2;
  static constexpr bool shared_sums = true;

  template <class T>
  struct Coefs {
    T rate, beta1, beta2, beta3, for_m, for_v, for_s, for_numerator, eps, keep;
  };
  static double slow_beta(const Values& h) {
    return h.beta3 != 0 ? h.beta3 : __builtin_sqrt(h.beta2);
  }
  static Coefs<double> prepare(const Values& h, const Step& step) {
    if (step.scalars[0] == 0) step.scalars[0] = step.scalars[1] = h.d0;
    const double d = step.scalars[0];
    double rate = d * h.alpha;
    if (h.use_bias_correction != 0) {
      rate *= __builtin_sqrt(1 - step.power(h.beta2)) / (1 - step.power(h.beta1));
    }
    return {rate,
            h.beta1,
            h.beta2,
            slow_beta(h),
            d * (1 - h.beta1),
            d * d * (1 - h.beta2),
            d / h.d0 * (h.safeguard_warmup != 0 ? d : rate),
            d / h.d0 * rate,
            h.eps,
            1 - rate * h.weight_decay};
  }

  template <class T>
  CR_INLINE static Sums<T, 2> measure(const Coefs<T>& c, T g, T p, T& m, T& v, T& s, T& p0) {
    m = multiply_add(c.beta1, m, c.for_m * g);
    v = multiply_add(c.beta2, v, c.for_v * g * g);
    s = multiply_add(c.beta3, s, c.for_s * g);
    return {{c.for_numerator * g * (p0 - p), functors::math::abs(s)}};
  }
  static void refine(const Values& h,
                     const Step& step,
                     std::int64_t,
                     const double* sums,
                     Coefs<double>& c) {
    double& d = step.scalars[0];
    double& d_max = step.scalars[1];
    double& d_numerator = step.scalars[2];
    if (sums[1] > 0 && h.alpha > 0) {
      d_numerator = slow_beta(h) * d_numerator + sums[0];
      const double estimate = h.d_coef * d_numerator / sums[1];
      if (d == h.d0 && estimate > d) d = estimate;
      if (estimate > d_max) d_max = estimate;
      const double bound = h.growth_rate != 0 ? d * h.growth_rate : d_max;
      d = bound < d_max ? bound : d_max;
    }
    c.eps = d * h.eps;
  }
  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T, T& p, T& m, T& v, T&, T&) {
    p = multiply_add(c.keep, p, -c.rate * m / (functors::math::sqrt(v) + c.eps));
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
