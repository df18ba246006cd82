#pragma once

#include "chainrule/functors/math.h"

namespace chainrule::functors {
inline namespace CHAINRULE_ISA {
namespace math {  // so that unqualified calls in math.h find the overloads below

// A value with its derivative along one direction: a functor run over Dual<T> gives the
// derivative of its formula, and over Dual<Dual<T>> the second. Comparisons look at the value.
template <class T>
struct Dual {
  T value;
  T slope;

  CR_INLINE Dual() {}
  CR_INLINE Dual(T v, T s) : value(v), slope(s) {}
  CR_INLINE explicit Dual(double constant) : value(T(constant)), slope(T(0.0)) {}

  CR_INLINE Dual operator-() const { return {-value, -slope}; }
  CR_INLINE friend Dual operator+(Dual a, Dual b) { return {a.value + b.value, a.slope + b.slope}; }
  CR_INLINE friend Dual operator-(Dual a, Dual b) { return {a.value - b.value, a.slope - b.slope}; }
  CR_INLINE friend Dual operator*(Dual a, Dual b) {
    return {a.value * b.value, a.slope * b.value + a.value * b.slope};
  }
  CR_INLINE friend Dual operator/(Dual a, Dual b) {
    const T q = a.value / b.value;
    return {q, (a.slope - q * b.slope) / b.value};
  }
  CR_INLINE friend bool operator<(Dual a, Dual b) { return a.value < b.value; }
  CR_INLINE friend bool operator>(Dual a, Dual b) { return a.value > b.value; }
  CR_INLINE friend bool operator<=(Dual a, Dual b) { return a.value <= b.value; }
  CR_INLINE friend bool operator>=(Dual a, Dual b) { return a.value >= b.value; }
  CR_INLINE friend bool operator==(Dual a, Dual b) { return a.value == b.value; }
  CR_INLINE friend bool operator!=(Dual a, Dual b) { return a.value != b.value; }
};

template <class T>
CR_INLINE Dual<T> select(bool condition, Dual<T> a, Dual<T> b) {
  return {select(condition, a.value, b.value), select(condition, a.slope, b.slope)};
}
template <class T>
CR_INLINE Dual<T> abs(Dual<T> x) {
  return select(x < Dual<T>(0.0), -x, x);
}
template <class T>
CR_INLINE Dual<T> max(Dual<T> a, Dual<T> b) {
  return select(a > b, a, b);
}
template <class T>
CR_INLINE Dual<T> min(Dual<T> a, Dual<T> b) {
  return select(a < b, a, b);
}
template <class T>
CR_INLINE Dual<T> sqrt(Dual<T> x) {
  const T y = sqrt(x.value);
  return {y, x.slope / (T(2.0) * y)};
}
template <class T>
CR_INLINE Dual<T> exp(Dual<T> x) {
  const T y = exp(x.value);
  return {y, x.slope * y};
}
template <class T>
CR_INLINE Dual<T> expm1(Dual<T> x) {
  return {expm1(x.value), x.slope * exp(x.value)};
}
template <class T>
CR_INLINE Dual<T> log(Dual<T> x) {
  return {log(x.value), x.slope / x.value};
}
template <class T>
CR_INLINE Dual<T> log1p(Dual<T> x) {
  return {log1p(x.value), x.slope / (T(1.0) + x.value)};
}
template <class T>
CR_INLINE Dual<T> tanh(Dual<T> x) {
  const T y = tanh(x.value);
  return {y, x.slope * (T(1.0) - y * y)};
}

}  // namespace math

using math::Dual;

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::functors
