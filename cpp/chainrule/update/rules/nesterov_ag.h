#pragma once

#include "chainrule/update/rule.h"

namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// Nesterov's accelerated gradient in the form of Bengio et al., "Advances in Optimizing
// Recurrent Networks", 2013: the parameter is the point looked ahead to.
struct NesterovAG {
  static constexpr char name[] = "NesterovAG";
  static constexpr Field fields[] = {{"lr", 0.01}, {"momentum", 0.9}};
  struct Values {
    double lr, momentum;
  };
  static constexpr auto states = names("v");

  template <class T>
  struct Coefs {
    T lr, momentum, momentum2, ahead;
  };
  static Coefs<double> prepare(const Values& h) {
    return {h.lr, h.momentum, h.momentum * h.momentum, (1 + h.momentum) * h.lr};
  }

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p, T& v) {
    v = multiply_add(c.momentum, v, -c.lr * g);
    p += c.momentum2 * v;
    p -= c.ahead * g;
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
