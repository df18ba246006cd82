#pragma once

#include "chainrule/update/rule.h"

namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// Balles, Hennig, "Dissecting Adam: The Sign, Magnitude and Variance of Stochastic Gradients",
// 2018, algorithm 3: momentum SGD whose step shrinks where the gradient is mostly noise.
struct MSVAG {
  static constexpr char name[] = "MSVAG";
  static constexpr Field fields[] = {{"lr", 0.1},
                                     {"beta", 0.9},
                                     {"eta", 1.0},
                                     {"weight_decay_rate", 0, FieldKind::integer}};
  struct Values {
    double lr, beta, eta, weight_decay_rate;
  };
  static constexpr auto states = names("m", "v");
  static constexpr bool squares[] = {false, true};

  template <class T>
  struct Coefs {
    T lr, one_minus_beta, unbias, rho, over_one_minus_rho, eta, weight_decay_rate;
  };
  static Coefs<double> prepare(const Values& h, const Step& step) {
    const double power = step.power(h.beta);
    const double b = 1 - h.beta;
    const double u = 1 - power;
    const double rho = b * b * (1 - power * power) / (u * u * (1 - h.beta * h.beta));
    // At the first step rho is 1: one sample has no variance.
    const double bounded = rho < 0.9999 ? rho : 0.9999;
    return {h.lr, b, 1 / u, bounded, 1 / (1 - bounded), h.eta, h.weight_decay_rate};
  }

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p, T& m, T& v) {
    m += c.one_minus_beta * (g - m);
    v += c.one_minus_beta * (g * g - v);
    const T mt = m * c.unbias;
    const T mt2 = mt * mt;
    const T s = multiply_add(v, c.unbias, -mt2) * c.over_one_minus_rho;
    const T f = mt2 / multiply_add(c.rho, s, mt2);
    // 0/0 where no gradient ever came: no step. Comparisons with NaN are false.
    const T factor =
        functors::math::select(f > T(0), functors::math::select(f < T(1), f, T(1)), T(0));
    p -= c.eta * multiply_add(c.lr * mt, factor, c.weight_decay_rate * p);
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
