#pragma once

#include "chainrule/update/rule.h"

namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// Kingma, Ba, "Adam", 2014, with decoupled weight decay and a multiplier (Loshchilov, Hutter,
// "Decoupled Weight Decay Regularization", 2017), the running maximum of AMSGrad (Reddi et al.,
// "On the Convergence of Adam and Beyond", 2018) and the bounds of AdaBound (Luo et al., 2019).
struct AdamBase {
  static constexpr char name[] = "Adam";
  static constexpr Field fields[] = {{"alpha", 0.001},
                                     {"beta1", 0.9},
                                     {"beta2", 0.999},
                                     {"eps", 1e-8, FieldKind::vanishing},
                                     {"eta", 1.0},
                                     {"weight_decay_rate", 0, FieldKind::integer},
                                     {"amsgrad", 0, FieldKind::boolean},
                                     {"adabound", 0, FieldKind::boolean},
                                     {"final_lr", 0.1},
                                     {"gamma", 1e-3},
                                     {"weight_decay", 0.0},
                                     {"eps_hat", 1, FieldKind::boolean}};
  struct Values {
    double alpha, beta1, beta2, eps, eta, weight_decay_rate, amsgrad, adabound, final_lr, gamma,
        weight_decay, eps_hat;
  };

  // The bounds follow later changes of alpha in proportion.
  static constexpr auto scalars = names("initial_alpha");
  static void begin(const Values& h, double* scalars) { scalars[0] = h.alpha; }

  template <class T>
  struct Coefs {
    T alpha_t, one_minus_beta1, one_minus_beta2, eps, eta, keep, lower, upper;
  };

  static Coefs<double> prepare(const Values& h, const Step& step) {
    const double unbias = __builtin_sqrt(1 - step.power(h.beta2));
    const double alpha_t = h.alpha * unbias / (1 - step.power(h.beta1));
    const double keep = 1 - h.eta * (h.weight_decay_rate + h.alpha * h.weight_decay);
    // The paper's epsilon is that of the corrected second moment.
    const double eps = h.eps_hat != 0 ? h.eps : h.eps * unbias;
    Coefs<double> c{alpha_t, 1 - h.beta1, 1 - h.beta2, eps, h.eta, keep, 0, 0};
    if (h.adabound != 0) {
      const double final_lr = h.final_lr * h.alpha / step.scalars[0];
      const double gt = h.gamma * static_cast<double>(step.t);
      c.lower = final_lr * (1 - 1 / (gt + 1));
      c.upper = final_lr * (1 + 1 / gt);
    }
    return c;
  }

  template <class T>
  CR_INLINE static void moments(const Coefs<T>& c, T g, T& m, T& v) {
    m += c.one_minus_beta1 * (g - m);
    v += c.one_minus_beta2 * (g * g - v);
  }

  template <bool adabound, class T>
  CR_INLINE static void move(const Coefs<T>& c, T& p, T m, T v) {
    T rate = c.alpha_t / (functors::math::sqrt(v) + c.eps);
    if constexpr (adabound) {
      rate = functors::math::min(functors::math::max(rate, c.lower), c.upper);
    }
    p = multiply_add(c.keep, p, -c.eta * (rate * m));
  }
};

template <bool adabound>
struct Adam : AdamBase {
  static constexpr auto states = names("m", "v");
  static constexpr bool squares[] = {false, true};
  static constexpr bool uses_scalars = adabound;
  static bool selected(const Values& h) { return h.amsgrad == 0 && (h.adabound != 0) == adabound; }

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p, T& m, T& v) {
    moments(c, g, m, v);
    move<adabound>(c, p, m, v);
  }
};

template <bool adabound>
struct AMSGrad : AdamBase {
  static constexpr auto states = names("m", "v", "vhat");
  static constexpr bool squares[] = {false, true, true};
  static constexpr bool uses_scalars = adabound;
  static bool selected(const Values& h) { return h.amsgrad != 0 && (h.adabound != 0) == adabound; }

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p, T& m, T& v, T& vhat) {
    moments(c, g, m, v);
    vhat = functors::math::max(vhat, v);
    move<adabound>(c, p, m, vhat);
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
