#pragma once

#include "chainrule/update/rule.h"

namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// Defazio et al., "The Road Less Scheduled", 2024. Three points: z steps, x is the average of the
// z so far and what is evaluated, and the parameter itself is y between them, where gradients are
// taken. States z and x begin at the parameter.
struct ScheduleFree {
  // The largest rate so far, and the sum of the weights in the average.
  static constexpr auto scalars = names("max_rate", "weight_sum");

  // The share of this step's z in the average, and the rate with its warm-up.
  struct Schedule {
    double rate, share;
  };
  static Schedule schedule(const Step& step,
                           double rate,
                           double warmup_steps,
                           double r,
                           double weight_power) {
    const double t = static_cast<double>(step.t);
    if (t < warmup_steps) rate *= t / warmup_steps;
    double& max_rate = step.scalars[0];
    double& weight_sum = step.scalars[1];
    if (rate > max_rate) max_rate = rate;
    const double weight = __builtin_pow(t, r) * __builtin_pow(max_rate, weight_power);
    weight_sum += weight;
    return {rate, weight_sum > 0 ? weight / weight_sum : 0};
  }

  template <class T>
  CR_INLINE static void move(T rate, T beta, T share, T direction, T& p, T& z, T& x) {
    z -= rate * direction;
    x += share * (z - x);
    p = z + beta * (x - z);
  }
};

// SGD, with the weights of the authors' program:
// those of the average grow with t^r and with the largest rate so far.
struct ScheduleFreeSGD : ScheduleFree {
  static constexpr char name[] = "ScheduleFreeSGD";
  static constexpr Field fields[] = {{"lr", 1.0},
                                     {"momentum", 0.9},
                                     {"weight_decay", 0.0},
                                     {"warmup_steps", 0, FieldKind::integer},
                                     {"r", 0.0},
                                     {"weight_lr_power", 2.0}};
  struct Values {
    double lr, momentum, weight_decay, warmup_steps, r, weight_lr_power;
  };
  static constexpr auto states = names("z", "x");
  static constexpr bool reads_param = true;
  static constexpr double initial[] = {kParameter, kParameter};
  static void begin(const Values&, double* scalars) { scalars[0] = scalars[1] = 0; }

  template <class T>
  struct Coefs {
    T lr, momentum, weight_decay, share;
  };
  static Coefs<double> prepare(const Values& h, const Step& step) {
    const Schedule s = schedule(step, h.lr, h.warmup_steps, h.r, h.weight_lr_power);
    return {s.rate, h.momentum, h.weight_decay, s.share};
  }

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p, T& z, T& x) {
    move(c.lr, c.momentum, c.share, g + c.weight_decay * p, p, z, x);
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
