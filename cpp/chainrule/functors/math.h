#pragma once

#include <cstdint>

#include "chainrule/functors/half.h"
#include "chainrule/functors/host_device.h"

// Element maths over T = float, double or Dual (functors/dual.h). Branch-free, so that the
// compiler turns a loop over elements into vector code; about 1 to 2 units in the last place.
// Infinities and NaNs behave as in C.
namespace chainrule::functors {
inline namespace CHAINRULE_ISA {
namespace math {

template <class T>
CR_INLINE T select(bool condition, T a, T b) {
  return condition ? a : b;
}

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

// Kept apart from the general templates so that Dual can have its own.
template <class T>
concept Real = __is_same(T, float) || __is_same(T, double);

CR_INLINE float abs(float x) { return __builtin_fabsf(x); }
CR_INLINE double abs(double x) { return __builtin_fabs(x); }
CR_INLINE float sqrt(float x) { return __builtin_sqrtf(x); }
CR_INLINE double sqrt(double x) { return __builtin_sqrt(x); }
CR_INLINE float floor(float x) { return __builtin_floorf(x); }
CR_INLINE double floor(double x) { return __builtin_floor(x); }
CR_INLINE float pow(float x, float y) { return __builtin_powf(x, y); }
CR_INLINE double pow(double x, double y) { return __builtin_pow(x, y); }

// NaN in either argument gives NaN, as numpy.maximum does.
template <Real T>
CR_INLINE T max(T a, T b) {
  return a > b || a != a ? a : b;
}
template <Real T>
CR_INLINE T min(T a, T b) {
  return a < b || a != a ? a : b;
}

template <Real T>
CR_INLINE T exp(T x) {
  using F = detail::Float<T>;
  T c = select(x < F::exp_min, F::exp_min, x);
  c = select(c > F::exp_max, F::exp_max, c);
  const auto reduced = detail::reduce(c);
  const auto half = reduced.n >> 1;  // two steps reach the subnormals and infinity
  const T p = detail::expm1_reduced(reduced.r) + T(1);
  return p * detail::power_of_two<T>(half) * detail::power_of_two<T>(reduced.n - half);
}

template <Real T>
CR_INLINE T expm1(T x) {
  T c = select(x < T(-50), T(-50), x);
  c = select(c > T(50), T(50), c);
  const auto reduced = detail::reduce(c);
  const T scale = detail::power_of_two<T>(reduced.n);
  const T small = detail::expm1_reduced(reduced.r) * scale + (scale - T(1));
  return select(x > T(50), exp(x), small);
}

template <Real T>
CR_INLINE T log(T x) {
  using F = detail::Float<T>;
  using Int = typename F::Int;
  const bool tiny = x < F::smallest_normal;
  const T scaled = select(tiny, x * F::denormal_scale, x);
  // Unsigned, because the bits of a negative number would overflow.
  using Bits = typename F::Bits;
  const Int bits = static_cast<Int>(half_bits::bit_cast<Bits>(scaled) - Bits{F::sqrt_half_bits});
  const Int exponent = bits >> F::mantissa_bits;
  // Mantissa in [sqrt(1/2), sqrt(2)).
  const T m = half_bits::bit_cast<T>(static_cast<Int>(
      (bits & ((Int{1} << F::mantissa_bits) - 1)) + F::sqrt_half_bits));
  const T e = T(exponent - select(tiny, F::denormal_shift, Int{0}));
  const T f = m - T(1);
  const T s = f / (T(2) + f);
  // 2s = f - s f keeps the leading term exact.
  const T tail = detail::log_series(s) - s * f;
  T y = e * F::ln2_high + (f + (tail + e * F::ln2_low));
  y = select(x == F::infinity, x, y);
  y = select(x == T(0), -F::infinity, y);
  return select(x >= T(0), y, select(x != x, x, T(__builtin_nan(""))));
}

template <Real T>
CR_INLINE T log1p(T x) {
  const T u = T(1) + x;
  const T y = log(u) - ((u - T(1)) - x) / u;
  return select(u == T(1), x, select(u == detail::Float<T>::infinity, u, select(u == T(0), log(u), y)));
}

template <Real T>
CR_INLINE T tanh(T x) {
  using F = detail::Float<T>;
  T c = select(x < -F::tanh_max, -F::tanh_max, x);
  c = select(c > F::tanh_max, F::tanh_max, c);
  const T e = expm1(T(2) * c);
  return e / (e + T(2));
}

template <class T>
CR_INLINE T sigmoid(T x) {
  return T(1) / (T(1) + exp(-x));
}

// log(1 + exp(x)) without overflow.
template <class T>
CR_INLINE T softplus(T x) {
  return max(x, T(0)) + log1p(exp(-abs(x)));
}

}  // namespace math
}  // namespace CHAINRULE_ISA
}  // namespace chainrule::functors
