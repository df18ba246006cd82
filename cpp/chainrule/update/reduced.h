#pragma once

#include "chainrule/functors/half.h"
#include "chainrule/functors/math.h"
#include "chainrule/functors/philox.h"
#include "chainrule/update/plan.h"

// How numbers are kept in fewer bits than they are computed in. Rounding to the nearest loses
// every change smaller than half a step: a running mean with a factor of 0.999 would stand still,
// and small updates of a bfloat16 parameter would vanish. Stochastic rounding (Gupta et al.,
// "Deep Learning with Limited Numerical Precision", 2015) takes the upper or the lower neighbour
// so that the mean is right.
namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// The stream of random words of the array in `slot` (the parameter: -1).
CR_INLINE functors::PhiloxKey stream_of(const Row& row, int slot) {
  return {row.key[0], row.key[1] + static_cast<std::uint32_t>(slot + 1)};
}

// An element is rounded with a draw: 16 random bits, which are off by less than 2^-17 of a step in
// the mean. Two elements share a word: those of the first half of kDrawGroup neighbours have lower
// halves, the others upper ones. Seven rounds are the fewest that pass the tests of the generator's
// authors.
inline constexpr int kDrawGroup = 2 * functors::kPhiloxGroup;
inline constexpr int kDrawRounds = 7;

// Where the word of the element at `position` is, and how far its draw is to be shifted.
CR_INLINE std::uint64_t word_position(std::uint64_t position) {
  return position / kDrawGroup * functors::kPhiloxGroup + position % functors::kPhiloxGroup;
}
CR_INLINE int draw_shift(std::uint64_t position) {
  return static_cast<int>(position / functors::kPhiloxGroup % 2) * 16;
}

// In (0, 1), evenly spread.
template <class T>
CR_INLINE T uniform(std::uint32_t draw) {
  return functors::math::multiply_add(static_cast<T>(static_cast<std::int32_t>(draw)), T(0x1p-16),
                                      T(0x1p-17));
}

// One of the two neighbours of x; `draw` decides.
template <class Half>
CR_INLINE Half rounded_stochastically(float x, std::uint32_t draw) {
  const Half nearest(x);
  const float low = nearest;
  const float magnitude = functors::math::abs(x);
  const float found = functors::math::abs(low);
  // The neighbour on x's side; zero's has x's sign.
  const int bits = half_bits::bit_cast<std::uint16_t>(nearest);
  const int beside = bits + functors::math::select(magnitude > found, 1, -1);
  const int least = functors::math::select(x < 0, 0x8001, 1);
  const auto next = static_cast<std::uint16_t>(functors::math::select(found == 0, least, beside));
  const float high = half_bits::bit_cast<Half>(next);
  const float step = high - low;
  const float share = (x - low) / step;
  // Comparisons with NaN are false: infinities, NaN and exact values stay what they are.
  const bool takes = (share > uniform<float>(draw)) & (high - high == 0);
  return half_bits::bit_cast<Half>(
      functors::math::select(takes, next, static_cast<std::uint16_t>(bits)));
}

// Of bfloat16, the upper half of a float, this is a sum of integers.
template <>
CR_INLINE BFloat16 rounded_stochastically<BFloat16>(float x, std::uint32_t draw) {
  const auto bits = half_bits::bit_cast<std::uint32_t>(x);
  const auto sum = (bits + draw) & 0xffff0000u;
  // Neither past the largest number nor away from infinity and NaN.
  const bool stays = (sum & 0x7f800000u) == 0x7f800000u;
  const auto own = half_bits::to_bfloat16(x);
  const auto truncated = static_cast<std::uint16_t>(bits >> 16);
  const bool finite = (bits & 0x7f800000u) != 0x7f800000u;
  const auto kept = functors::math::select(finite, truncated, own);
  return half_bits::bit_cast<BFloat16>(
      functors::math::select(stays, kept, static_cast<std::uint16_t>(sum >> 16)));
}

// 8-bit states: a sign and the root of |x| relative to a scale for kStateBlock neighbours, in
// steps of 1/127; the scale of a group with an infinity or NaN is NaN, and so is all it holds.
// Means keep the fourth root (8 decades), squares the eighth (16 decades), so that the ratio of a
// small mean to the root of a small square stays right.
template <bool square, class T>
CR_INLINE T powered(T root) {
  const T second = root * root;
  const T fourth = second * second;
  return square ? fourth * fourth : fourth;
}

template <bool square, class T>
CR_INLINE T level_value(T level) {
  return powered<square>(level * T(1.0 / 127.0));
}

template <bool square, class T>
CR_INLINE T decoded(std::int8_t code, T scale) {
  const T value = level_value<square>(static_cast<T>(code)) * scale;
  return functors::math::select(code < 0, -value, value);
}

// The scale of a group whose largest element is `largest`, a power of two: while it stays, numbers
// that were stored are codes exactly, and rounding adds noise only for what has changed. So it
// stays until it is too small, or four times too large.
CR_INLINE float scale_of(float largest, float before) {
  constexpr float kGreatest = 0x1p127f;
  if (!(largest <= 3.4028234e38f)) return largest - largest;  // NaN
  if (before >= largest && before <= 4 * largest && before <= kGreatest) return before;
  if (largest > kGreatest) return kGreatest;
  const auto bits = half_bits::bit_cast<std::uint32_t>(largest);
  return half_bits::bit_cast<float>((bits + 0x7fffffu) & 0x7f800000u);
}

// 1 / scale, or 0 where the scale is 0 or NaN.
template <class T>
CR_INLINE T inverse_of(float scale) {
  return scale > 0 ? T(1) / static_cast<T>(scale) : T(0);
}

// |x| as a whole number that grows with it, infinity and NaN beyond all others: what threads find
// the largest of. `sized` is the way back.
template <class T>
CR_INLINE std::uint32_t size_bits(T x) {
  return half_bits::bit_cast<std::uint32_t>(functors::math::abs(static_cast<float>(x)));
}
CR_INLINE float sized(std::uint32_t bits) { return half_bits::bit_cast<float>(bits); }

// The level whose value is nearest to `share`, in [0, 1], or one beside it: 127 times a power of
// two whose exponent is a fourth or an eighth of the logarithm. Both are quadratics between the
// powers of two; what they come to is 0.4 % off at most, half a level.
template <bool square>
CR_INLINE float level_near(float share) {
  using functors::math::multiply_add;
  constexpr float kPart = square ? 0.125f : 0.25f;
  const auto bits = half_bits::bit_cast<std::int32_t>(share);
  const float mantissa = half_bits::bit_cast<float>((bits & 0x7fffff) | 0x3f800000);
  // The bits are a number: exponent, with its bias, plus mantissa - 1.
  const float curve =
      multiply_add(multiply_add(-0.34485f, mantissa, 1.02468f), mantissa, -0.67489f);
  const float logarithm = multiply_add(static_cast<float>(bits), 0x1p-23f, curve);
  const float exponent = multiply_add(logarithm, kPart, 127.0f * (1.0f - kPart));
  // Beyond 2^23 there are whole numbers only: sums are rounded to them.
  const float whole = (exponent + (0x1p23f - 0.5f)) - 0x1p23f;
  const float rest = exponent - whole;
  const float bent = multiply_add(multiply_add(0.344002f, rest, -0.348954f), rest, 0.002476f);
  const auto root = static_cast<std::int32_t>((exponent + bent) * 0x1p23f);
  return multiply_add(half_bits::bit_cast<float>(root), 127.0f, 0x1p23f) - 0x1p23f;
}

// `inverse`: of the scale.
template <bool square, class T>
CR_INLINE std::int8_t encoded(T x, T inverse, std::uint32_t draw) {
  namespace math = functors::math;
  const T all = math::abs(x) * inverse;
  const T share = math::select(all < T(1), all, T(1));
  const T near = static_cast<T>(level_near<square>(static_cast<float>(share)));
  // The two levels about it are the same ones, wherever the search began.
  const T lower = near - math::select(share < level_value<square>(near), T(1), T(0));
  const T low = level_value<square>(lower);
  const T step = level_value<square>(lower + T(1)) - low;
  const T level = math::select(share - low > uniform<T>(draw) * step, lower + T(1), lower);
  const T with_sign = math::select(x < T(0), -level, level);
  return static_cast<std::int8_t>(static_cast<std::int32_t>(with_sign));
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
