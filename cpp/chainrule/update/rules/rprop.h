#pragma once

#include "chainrule/update/rule.h"

namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// Riedmiller, Braun, "A direct adaptive method for faster backpropagation learning: The RPROP
// algorithm", 1993, in the form of Igel, Huesken, "Improving the Rprop Learning Algorithm", 2000,
// "Rprop-": a step of its own for each element, of which gradients give the direction only.
// Where the sign has turned, the step shrinks and the element waits once.
struct Rprop {
  static constexpr char name[] = "Rprop";
  static constexpr Field fields[] = {{"lr", 0.01},
                                     {"eta_minus", 0.5},
                                     {"eta_plus", 1.2},
                                     {"min_step", 1e-6, FieldKind::vanishing},
                                     {"max_step", 50.0}};
  struct Values {
    double lr, eta_minus, eta_plus, min_step, max_step;
  };
  static constexpr auto states = names("g", "delta");

  template <class T>
  struct Coefs {
    T lr, eta_minus, eta_plus, min_step, max_step;
  };
  static Coefs<double> prepare(const Values& h) {
    return {h.lr, h.eta_minus, h.eta_plus, h.min_step, h.max_step};
  }

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T grad, T& p, T& g, T& delta) {
    using namespace functors;
    // Signs, not the product of gradients, which may underflow.
    const T now = math::sign(grad);
    const T before = math::sign(g);
    const T turn = now * before;
    const T factor =
        math::select(turn > T(0), c.eta_plus, math::select(turn < T(0), c.eta_minus, T(1)));
    // A step of zero has not begun.
    const T last = math::select(delta > T(0), delta, c.lr);
    delta = math::min(math::max(last * factor, c.min_step), c.max_step);
    g = math::select(turn < T(0), T(0), grad);
    p -= delta * math::select(turn < T(0), T(0), now);
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
