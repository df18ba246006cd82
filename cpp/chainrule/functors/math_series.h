#pragma once

#include <cstdint>

#include "chainrule/functors/half.h"
#include "chainrule/functors/host_device.h"

// What math.h is made of: the layout of float and double, and the series that the functions are
// reduced to.
namespace chainrule::functors {
inline namespace CHAINRULE_ISA {
namespace math {

namespace detail {

template <class T>
struct Float;

template <>
struct Float<float> {
  using Int = std::int32_t;
  using Bits = std::uint32_t;
  static constexpr int mantissa_bits = 23;
  static constexpr Int bias = 127;
  static constexpr float round_magic = 12582912.0f;  // 1.5 * 2^23
  static constexpr float ln2_high = 0.693359375f;
  static constexpr float ln2_low = -2.12194440054690583e-4f;
  static constexpr float exp_min = -104.0f;
  static constexpr float exp_max = 89.0f;
  static constexpr float smallest_normal = 1.17549435e-38f;
  static constexpr float denormal_scale = 33554432.0f;  // 2^25
  static constexpr Int denormal_shift = 25;
  static constexpr Int sqrt_half_bits = 0x3f3504f3;
  static constexpr float tanh_max = 10.0f;
  static constexpr float infinity = __builtin_inff();
};

template <>
struct Float<double> {
  using Int = std::int64_t;
  using Bits = std::uint64_t;
  static constexpr int mantissa_bits = 52;
  static constexpr Int bias = 1023;
  static constexpr double round_magic = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr double ln2_high = 6.93147180369123816490e-01;
  static constexpr double ln2_low = 1.90821492927058770002e-10;
  static constexpr double exp_min = -746.0;
  static constexpr double exp_max = 710.0;
  static constexpr double smallest_normal = 2.2250738585072014e-308;
  static constexpr double denormal_scale = 18014398509481984.0;  // 2^54
  static constexpr Int denormal_shift = 54;
  static constexpr Int sqrt_half_bits = 0x3fe6a09e667f3bcd;
  static constexpr double tanh_max = 20.0;
  static constexpr double infinity = __builtin_inf();
};

// 2^n for n within the normal exponents.
template <class T>
CR_INLINE T power_of_two(typename Float<T>::Int n) {
  using F = Float<T>;
  return half_bits::bit_cast<T>(static_cast<typename F::Int>((n + F::bias) << F::mantissa_bits));
}

// expm1(r) for |r| <= ln(2)/2, by the series r + r^2/2! + r^3/3! + ...
CR_INLINE float expm1_reduced(float r) {
  float p = 1.0f / 5040;
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  return p * r * r + r;
}

CR_INLINE double expm1_reduced(double r) {
  double p = 1.0 / 6227020800.0;
  p = p * r + 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  return p * r * r + r;
}

// log((1+s)/(1-s)) - 2s for |s| <= 0.1716, by the series 2 (s^3/3 + s^5/5 + ...)
CR_INLINE float log_series(float s) {
  const float z = s * s;
  float p = 2.0f / 11;
  p = p * z + 2.0f / 9;
  p = p * z + 2.0f / 7;
  p = p * z + 2.0f / 5;
  p = p * z + 2.0f / 3;
  return p * z * s;
}

CR_INLINE double log_series(double s) {
  const double z = s * s;
  double p = 2.0 / 23;
  p = p * z + 2.0 / 21;
  p = p * z + 2.0 / 19;
  p = p * z + 2.0 / 17;
  p = p * z + 2.0 / 15;
  p = p * z + 2.0 / 13;
  p = p * z + 2.0 / 11;
  p = p * z + 2.0 / 9;
  p = p * z + 2.0 / 7;
  p = p * z + 2.0 / 5;
  p = p * z + 2.0 / 3;
  return p * z * s;
}

// x = n ln 2 + r with |r| <= ln(2)/2.
template <class T>
struct Reduced {
  typename Float<T>::Int n;
  T r;
};

template <class T>
CR_INLINE Reduced<T> reduce(T x) {
  using F = Float<T>;
  const T shifted = x * T(1.4426950408889634) + F::round_magic;
  const T n = shifted - F::round_magic;
  return {half_bits::bit_cast<typename F::Int>(shifted) -
              half_bits::bit_cast<typename F::Int>(F::round_magic),
          (x - n * F::ln2_high) - n * F::ln2_low};
}

}  // namespace detail

}  // namespace math
}  // namespace CHAINRULE_ISA
}  // namespace chainrule::functors
