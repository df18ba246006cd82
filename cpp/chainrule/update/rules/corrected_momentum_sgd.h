#pragma once

#include "chainrule/update/rule.h"

namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// Momentum with the rate outside the velocity: a change of `lr` acts at once (Goyal et al.,
// "Accurate, Large Minibatch SGD", 2017, section 3).
struct CorrectedMomentumSGD {
  static constexpr char name[] = "CorrectedMomentumSGD";
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
    v = c.momentum * v - g;
    p += c.lr * v;
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
