#pragma once

#include "chainrule/update/rule.h"

namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012.
struct AdaDelta {
  static constexpr char name[] = "AdaDelta";
  static constexpr Field fields[] = {{"rho", 0.95}, {"eps", 1e-6, FieldKind::vanishing}};
  struct Values {
    double rho, eps;
  };
  static constexpr auto states = names("msg", "msdx");
  static constexpr bool squares[] = {true, true};

  template <class T>
  struct Coefs {
    T rho, one_minus_rho, eps;
  };
  static Coefs<double> prepare(const Values& h) { return {h.rho, 1 - h.rho, h.eps}; }

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p, T& msg, T& msdx) {
    msg = multiply_add(c.rho, msg, c.one_minus_rho * g * g);
    const T dx = functors::math::sqrt((msdx + c.eps) / (msg + c.eps)) * g;
    msdx = multiply_add(c.rho, msdx, c.one_minus_rho * dx * dx);
    p -= dx;
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
