#pragma once

#include "chainrule/functors/unary.h"

namespace chainrule::functors {
inline namespace CHAINRULE_ISA {

struct Exp : NoParams {
  using NoParams::NoParams;
  static constexpr char name[] = "exp";
  static constexpr Saves saves = Saves::output;
  template <class T>
  CR_INLINE T forward(T x) const {
    return math::exp(x);
  }
  template <class T>
  CR_INLINE T backward(T y, T g) const {
    return g * y;
  }
};

struct Log : NoParams {
  using NoParams::NoParams;
  static constexpr char name[] = "log";
  static constexpr Saves saves = Saves::input;
  template <class T>
  CR_INLINE T forward(T x) const {
    return math::log(x);
  }
  template <class T>
  CR_INLINE T backward(T x, T g) const {
    return g / x;
  }
};

struct Sqrt : NoParams {
  using NoParams::NoParams;
  static constexpr char name[] = "sqrt";
  static constexpr Saves saves = Saves::output;
  template <class T>
  CR_INLINE T forward(T x) const {
    return math::sqrt(x);
  }
  template <class T>
  CR_INLINE T backward(T y, T g) const {
    return g / (T(2.0) * y);
  }
};

using ExpLog = List<Exp, Log, Sqrt>;

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::functors
