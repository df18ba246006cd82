#pragma once

#include "chainrule/update/rule.h"

namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// You, Gitman, Ginsburg, "Large Batch Training of Convolutional Networks", 2017, algorithm 1:
// momentum whose rate is in proportion to the parameter's norm over the gradient's.
struct LARS {
  static constexpr char name[] = "LARS";
  static constexpr Field fields[] = {{"lr", 0.1},
                                     {"momentum", 0.9},
                                     {"weight_decay", 0.0},
                                     {"trust_coefficient", 0.001},
                                     {"eps", 1e-9, FieldKind::vanishing}};
  struct Values {
    double lr, momentum, weight_decay, trust_coefficient, eps;
  };
  static constexpr auto states = names("v");
  static constexpr bool reads_param = true;
  static constexpr int sums = 2;

  template <class T>
  struct Coefs {
    T rate, momentum, weight_decay;
  };
  static Coefs<double> prepare(const Values& h) { return {h.lr, h.momentum, h.weight_decay}; }

  template <class T>
  CR_INLINE static Sums<T, 2> measure(const Coefs<T>&, T g, T p, T&) {
    return {{p * p, g * g}};
  }
  static void refine(const Values& h,
                     const Step&,
                     std::int64_t,
                     const double* squares,
                     Coefs<double>& c) {
    const double p = __builtin_sqrt(squares[0]);
    const double g = __builtin_sqrt(squares[1]);
    // A parameter of zeros would never move.
    const double trust = p > 0 ? h.trust_coefficient * p / (g + h.weight_decay * p + h.eps) : 1;
    c.rate = h.lr * trust;
  }
  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p, T& v) {
    v = multiply_add(c.momentum, v, -c.rate * multiply_add(c.weight_decay, p, g));
    p += v;
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
