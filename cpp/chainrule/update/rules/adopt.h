#pragma once

#include "chainrule/update/rule.h"

namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// Taniguchi et al., "ADOPT: Modified Adam Can Converge with Any beta2 with the Optimal Rate", 2024,
// algorithm 2: the gradient is divided by the second moment of the gradients before it, and then
// clipped at t^(1/4). The first gradient only starts that moment; nothing moves.
struct ADOPT {
  static constexpr char name[] = "ADOPT";
  static constexpr Field fields[] = {{"alpha", 0.001},      {"beta1", 0.9},
                                     {"beta2", 0.9999},     {"eps", 1e-6, FieldKind::vanishing},
                                     {"weight_decay", 0.0}, {"clip", 1, FieldKind::boolean}};
  struct Values {
    double alpha, beta1, beta2, eps, weight_decay, clip;
  };
  static constexpr auto states = names("m", "v");

  template <class T>
  struct Coefs {
    T alpha, one_minus_beta1, one_minus_beta2, eps, bound, keep;
  };
  static Coefs<double> prepare(const Values& h, const Step& step) {
    if (step.t == 1) return {0, 0, 1, h.eps, 0, 1};
    const double bound = h.clip != 0 ? __builtin_pow(static_cast<double>(step.t - 1), 0.25) : 3e38;
    return {h.alpha, 1 - h.beta1, 1 - h.beta2, h.eps, bound, 1 - h.alpha * h.weight_decay};
  }

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p, T& m, T& v) {
    using namespace functors;
    const T scaled = g / math::max(math::sqrt(v), c.eps);
    const T clipped = math::min(math::max(scaled, -c.bound), c.bound);
    m += c.one_minus_beta1 * (clipped - m);
    p = multiply_add(c.keep, p, -c.alpha * m);
    v += c.one_minus_beta2 * (g * g - v);
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
