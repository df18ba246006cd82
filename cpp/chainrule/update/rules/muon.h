#pragma once

#include "chainrule/update/rule.h"

namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024. What stands here
// is the last step; update/tensor_rules/muon.cpp makes the direction `u`, and `rate` of its shape.
struct Muon {
  static constexpr char name[] = "Muon";
  static constexpr Field fields[] = {{"lr", 0.02},
                                     {"momentum", 0.95},
                                     {"weight_decay", 0.0},
                                     {"nesterov", 1, FieldKind::boolean},
                                     {"match_rms_adamw", 0, FieldKind::boolean},
                                     {"flatten", 0, FieldKind::boolean},
                                     {"ns_steps", 5, FieldKind::integer},
                                     {"eps", 1e-7, FieldKind::vanishing},
                                     {"ns_bfloat16", 0, FieldKind::boolean}};
  struct Values {
    double lr, momentum, weight_decay, nesterov, match_rms_adamw, flatten, ns_steps, eps;
    double ns_bfloat16;
  };
  static constexpr auto states = names();

  template <class T>
  struct Coefs {
    T rate, keep;
  };
  static Coefs<double> prepare(const Values& h) { return {h.lr, 1 - h.lr * h.weight_decay}; }

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T u, T& p) {
    p = c.keep * p - c.rate * u;
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
