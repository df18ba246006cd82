#pragma once

#include "chainrule/update/rule.h"
#include "chainrule/update/rules/schedule_free_sgd.h"

namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// Defazio et al., "The Road Less Scheduled", 2024, algorithm 1: the average replaces Adam's first
// moment. The decay of weights is taken at y, as in the authors' program.
struct ScheduleFreeAdamW : ScheduleFree {
  static constexpr char name[] = "ScheduleFreeAdamW";
  static constexpr Field fields[] = {{"alpha", 0.0025},
                                     {"beta1", 0.9},
                                     {"beta2", 0.999},
                                     {"eps", 1e-8, FieldKind::vanishing},
                                     {"weight_decay", 0.0},
                                     {"warmup_steps", 0, FieldKind::integer},
                                     {"r", 0.0},
                                     {"weight_lr_power", 2.0}};
  struct Values {
    double alpha, beta1, beta2, eps, weight_decay, warmup_steps, r, weight_lr_power;
  };
  static constexpr auto states = names("z", "x", "v");
  static constexpr bool reads_param = true;
  static constexpr double initial[] = {kParameter, kParameter, 0};
  static void begin(const Values&, double* scalars) { scalars[0] = scalars[1] = 0; }

  template <class T>
  struct Coefs {
    T alpha, beta1, one_minus_beta2, unbias, eps, weight_decay, share;
  };
  static Coefs<double> prepare(const Values& h, const Step& step) {
    const Schedule s = schedule(step, h.alpha, h.warmup_steps, h.r, h.weight_lr_power);
    return {s.rate, h.beta1,        1 - h.beta2, 1 / (1 - step.power(h.beta2)),
            h.eps,  h.weight_decay, s.share};
  }

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p, T& z, T& x, T& v) {
    v += c.one_minus_beta2 * (g * g - v);
    const T direction = g / (functors::math::sqrt(v * c.unbias) + c.eps);
    move(c.alpha, c.beta1, c.share, direction + c.weight_decay * p, p, z, x);
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
