#pragma once

#include "chainrule/update/rule.h"

namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// Stochastic gradient descent: p -= lr g.
struct SGD {
  static constexpr char name[] = "SGD";
  static constexpr Field fields[] = {{"lr", 0.01}};
  struct Values {
    double lr;
  };
  static constexpr auto states = names();

  template <class T>
  struct Coefs {
    T lr;
  };
  static Coefs<double> prepare(const Values& h) { return {h.lr}; }

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p) {
    p -= c.lr * g;
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
