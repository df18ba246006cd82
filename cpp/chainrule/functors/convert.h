#pragma once

#include "chainrule/functors/math.h"

// How elements are read, computed on and converted: one meaning for every device.
namespace chainrule::functors {
inline namespace CHAINRULE_ISA {

// What an element is computed in: halves are loaded, computed on in float, stored.
template <class T>
struct ComputeType {
  using type = T;
};
template <>
struct ComputeType<Float16> {
  using type = float;
};
template <>
struct ComputeType<BFloat16> {
  using type = float;
};
template <class T>
using Compute = typename ComputeType<T>::type;

// As NumPy's astype, but defined for every value: floats outside the range of int64 and NaN
// become 0, what fits into int64 wraps.
template <class To, class From>
CR_INLINE Compute<To> convert(From value) {
  if constexpr (__is_same(Compute<To>, bool)) {
    return value != From(0);
  } else if constexpr (math::Real<From> && !math::Real<Compute<To>>) {
    const double x = static_cast<double>(value);
    const double inside = x >= -9223372036854775808.0 && x < 9223372036854775808.0 ? x : 0.0;
    return static_cast<To>(static_cast<std::int64_t>(inside));
  } else {
    return static_cast<Compute<To>>(value);
  }
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::functors
