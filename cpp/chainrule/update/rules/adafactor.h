#pragma once

#include "chainrule/update/rule.h"

namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// Shazeer, Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", 2018. What
// stands here is the last step; update/tensor_rules/adafactor.cpp makes the direction `u`, and
// `rate` of its size and the parameter's.
struct AdafactorBase {
  static constexpr char name[] = "Adafactor";
  static constexpr Field fields[] = {{"lr", 0.01},
                                     {"beta1", 0.0},
                                     {"decay_rate", 0.8},
                                     {"clip_threshold", 1.0},
                                     {"eps1", 1e-30, FieldKind::vanishing},
                                     {"eps2", 1e-3},
                                     {"weight_decay", 0.0},
                                     {"relative_step", 1, FieldKind::boolean},
                                     {"scale_parameter", 1, FieldKind::boolean}};
  struct Values {
    double lr, beta1, decay_rate, clip_threshold, eps1, eps2, weight_decay, relative_step,
        scale_parameter;
  };

  template <class T>
  struct Coefs {
    T rate, keep, one_minus_beta1;
  };
  static Coefs<double> prepare(const Values& h) {
    return {h.lr, 1 - h.lr * h.weight_decay, 1 - h.beta1};
  }
};

template <bool momentum>
struct Adafactor;

template <>
struct Adafactor<false> : AdafactorBase {
  static constexpr auto states = names();
  static bool selected(const Values& h) { return h.beta1 == 0; }

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T u, T& p) {
    p = multiply_add(c.keep, p, -c.rate * u);
  }
};

template <>
struct Adafactor<true> : AdafactorBase {
  static constexpr auto states = names("m");
  static bool selected(const Values& h) { return h.beta1 != 0; }

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T u, T& p, T& m) {
    m += c.one_minus_beta1 * (c.rate * u - m);
    p = c.keep * p - m;
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
