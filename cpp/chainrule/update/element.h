#pragma once

#include "chainrule/functors/convert.h"
#include "chainrule/update/plan.h"

// What a traversal does to one element before and beside the rule: the same on every device.
namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// min(max(x, low), high), in as few instructions as there are; NaN stays NaN.
template <class T>
CR_INLINE T bounded(T x, T low, T high) {
  x = functors::math::select(low > x, low, x);
  return functors::math::select(high < x, high, x);
}

// One step of a gradient's program.
template <GradientOp op, class T>
CR_INLINE T apply(T g, T p, T a, T b) {
  using namespace functors;
  if constexpr (op == GradientOp::scale) {
    return g * a;
  } else if constexpr (op == GradientOp::weight_decay) {
    return math::multiply_add(a, p, g);
  } else if constexpr (op == GradientOp::lasso) {
    return math::multiply_add(a, math::sign(p), g);
  } else {
    return bounded(g, a, b);
  }
}

// What the rule sees of a gradient: the gradient itself,
template <class T>
struct Unchanged {
  CR_INLINE static Unchanged of(const FusedProgram&) { return {}; }
  CR_INLINE T operator()(T g, T) const { return g; }
};

// or a linear program of it, with the bits of its steps one by one,
template <class T>
struct LinearProgram {
  T g_scale, p_scale;

  CR_INLINE static LinearProgram of(const FusedProgram& f) {
    return {static_cast<T>(f.g_scale), static_cast<T>(f.p_scale)};
  }
  CR_INLINE T operator()(T g, T p) const {
    return functors::math::multiply_add(p_scale, p, g_scale * g);
  }
};

// or any fused program.
template <class T>
struct Program {
  T g_scale, p_scale, sign_scale, low, high;

  CR_INLINE static Program of(const FusedProgram& f) {
    return {static_cast<T>(f.g_scale), static_cast<T>(f.p_scale), static_cast<T>(f.sign_scale),
            static_cast<T>(f.low), static_cast<T>(f.high)};
  }
  CR_INLINE T operator()(T g, T p) const {
    using namespace functors;
    const T decayed = math::multiply_add(p_scale, p, g_scale * g);
    return bounded(math::multiply_add(sign_scale, math::sign(p), decayed), low, high);
  }
};

// Whether a change did not survive the rounding to what is stored.
template <class Half, class T>
CR_INLINE bool is_lost(T before, T after) {
  const float was = static_cast<float>(before);
  const float is = Half(static_cast<float>(after));
  return (after != before) & (was == is);
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
