#pragma once

#include "chainrule/functors/dual.h"

// The contract of an element functor of one argument:
//
//   struct Name {
//     static constexpr char name[] = "name";              // the op's name everywhere
//     static constexpr Saves saves = Saves::output;       // what backward is given as `s`
//     CR_INLINE explicit Name(const double* params);      // the op's constants, if any
//     template <class T> CR_INLINE T forward(T x) const;
//     template <class T> CR_INLINE T backward(T s, T g) const;   // g times the derivative
//   };
//
// No std::, no branch on a value (math::select), constants as T(0.5): T is float, double or a
// Dual of them, from which higher derivatives come by themselves.
namespace chainrule::functors {
inline namespace CHAINRULE_ISA {

enum class Saves { input, output };

struct NoParams {
  CR_INLINE explicit NoParams(const double*) {}
};

// d/ds of the (Order-1)-th derivative functor: order 1 is `backward` itself.
template <int Order, class Op, class T>
CR_INLINE T derivative(const Op& op, T s, T u) {
  if constexpr (Order == 1) {
    return op.backward(s, u);
  } else {
    return derivative<Order - 1>(op, Dual<T>(s, T(1.0)), Dual<T>(u, T(0.0))).slope;
  }
}

inline constexpr int kMaxDerivative = 3;

// "tanh.derivative1" and so on, made at compile time.
template <class Op, int Order>
struct DerivativeName {
  char text[sizeof(Op::name) + 12] = {};
  constexpr DerivativeName() {
    int n = 0;
    for (const char* p = Op::name; *p; ++p) text[n++] = *p;
    for (const char* p = ".derivative"; *p; ++p) text[n++] = *p;
    text[n] = static_cast<char>('0' + Order);
  }
};
template <class Op, int Order>
inline constexpr DerivativeName<Op, Order> derivative_name{};

template <class... Ops>
struct List {};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::functors
