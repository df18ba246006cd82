#pragma once

#include "chainrule/functors/convert.h"
#include "chainrule/update/plan.h"

// What a traversal does to one element before and beside the rule: the same on every device.
namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// One step of a gradient's program.
template <GradientOp op, class T>
CR_INLINE T apply(T g, T p, T a, T b) {
  using namespace functors;
  if constexpr (op == GradientOp::scale) {
    return g * a;
  } else if constexpr (op == GradientOp::weight_decay) {
    return g + a * p;
  } else if constexpr (op == GradientOp::lasso) {
    // The sign of zero and of NaN is the number itself.
    return g + a * math::select(p > T(0), T(1), math::select(p < T(0), T(-1), p));
  } else {
    return math::min(math::max(g, a), b);
  }
}

// A half-precision parameter that is no longer the rounded master was set by somebody: the
// master follows.
template <class Half, class T>
CR_INLINE T refreshed(T master, Half half) {
  const float seen = half;
  const float own = Half(static_cast<float>(master));
  return functors::math::select(seen == own, master, static_cast<T>(seen));
}

// A rule's coefficients in the type that elements are computed in.
template <class Rule, class T>
CR_INLINE typename Rule::template Coefs<T> load_coefs(const double* coefs) {
  using Coefs = typename Rule::template Coefs<T>;
  constexpr int count = sizeof(typename Rule::template Coefs<double>) / sizeof(double);
  static_assert(count <= kMaxCoefs && sizeof(Coefs) == count * sizeof(T));
  T values[count];
  for (int i = 0; i < count; ++i) values[i] = static_cast<T>(coefs[i]);
  Coefs out;
  __builtin_memcpy(&out, values, sizeof(out));
  return out;
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
