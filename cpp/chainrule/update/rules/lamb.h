#pragma once

#include "chainrule/update/rule.h"

namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// You et al., "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes", 2019,
// algorithm 2, phi the identity: Adam's direction, as long as the parameter.
struct LAMB {
  static constexpr char name[] = "LAMB";
  static constexpr Field fields[] = {{"alpha", 0.001},
                                     {"beta1", 0.9},
                                     {"beta2", 0.999},
                                     {"eps", 1e-6, FieldKind::vanishing},
                                     {"weight_decay", 0.0}};
  struct Values {
    double alpha, beta1, beta2, eps, weight_decay;
  };
  static constexpr auto states = names("m", "v");
  static constexpr bool reads_param = true;
  static constexpr int sums = 2;

  template <class T>
  struct Coefs {
    T rate, one_minus_beta1, one_minus_beta2, unbias1, unbias2, eps, weight_decay;
  };
  static Coefs<double> prepare(const Values& h, const Step& step) {
    return {h.alpha,
            1 - h.beta1,
            1 - h.beta2,
            1 / (1 - step.power(h.beta1)),
            1 / (1 - step.power(h.beta2)),
            h.eps,
            h.weight_decay};
  }

  template <class T>
  CR_INLINE static T direction(const Coefs<T>& c, T p, T m, T v) {
    const T root = functors::math::sqrt(v * c.unbias2) + c.eps;
    return multiply_add(c.weight_decay, p, c.unbias1 * m / root);
  }
  template <class T>
  CR_INLINE static Sums<T, 2> measure(const Coefs<T>& c, T g, T p, T& m, T& v) {
    m += c.one_minus_beta1 * (g - m);
    v += c.one_minus_beta2 * (g * g - v);
    const T u = direction(c, p, m, v);
    return {{p * p, u * u}};
  }
  static void refine(const Values& h,
                     const Step&,
                     std::int64_t,
                     const double* squares,
                     Coefs<double>& c) {
    // A parameter of zeros would never move.
    if (squares[0] > 0 && squares[1] > 0) {
      c.rate = h.alpha * __builtin_sqrt(squares[0] / squares[1]);
    }
  }
  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T, T& p, T& m, T& v) {
    p -= c.rate * direction(c, p, m, v);
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
