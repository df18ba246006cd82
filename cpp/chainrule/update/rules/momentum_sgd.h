#pragma once

#include "chainrule/update/rule.h"

namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// Momentum: Polyak, "Some methods of speeding up the convergence of iteration methods", 1964.
// The rate stands inside the velocity, so that a change of `lr` reaches it only bit by bit.
struct MomentumSGD {
  static constexpr char name[] = "MomentumSGD";
  static constexpr Field fields[] = {{"lr", 0.01}, {"momentum", 0.9}};
  struct Values {
    double lr, momentum;
  };
  static constexpr auto states = names("v");

  template <class T>
  struct Coefs {
    T lr, momentum;
  };
  static Coefs<double> prepare(const Values& h) { return {h.lr, h.momentum}; }

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p, T& v) {
    v = multiply_add(c.momentum, v, -c.lr * g);
    p += v;
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
