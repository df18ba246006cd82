#include "chainrule/functors/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

namespace chainrule {
namespace {

// The value of 16 bits by definition: sign, exponent, fraction.
double by_definition(std::uint16_t bits, int exponent_bits, int fraction_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (bits >> fraction_bits) & ((1 << exponent_bits) - 1);
  const double fraction = std::ldexp(bits & ((1 << fraction_bits) - 1), -fraction_bits);
  const double sign = bits & 0x8000 ? -1.0 : 1.0;
  if (exponent == (1 << exponent_bits) - 1) return fraction == 0 ? sign * HUGE_VAL : NAN;
  return exponent == 0 ? sign * std::ldexp(fraction, 1 - bias)
                       : sign * std::ldexp(1 + fraction, exponent - bias);
}

template <class Half>
void check_every_value(int exponent_bits, int fraction_bits) {
  for (unsigned i = 0; i < 65536; ++i) {
    Half half;
    half.bits = static_cast<std::uint16_t>(i);
    const double expected = by_definition(half.bits, exponent_bits, fraction_bits);
    const auto value = static_cast<float>(half);
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(value)) << i;
      EXPECT_TRUE(std::isnan(static_cast<float>(Half(value)))) << i;
      continue;
    }
    ASSERT_EQ(value, expected) << i;
    ASSERT_EQ(std::signbit(value), std::signbit(expected)) << i;
    ASSERT_EQ(Half(value).bits, half.bits) << i;  // there and back
  }
}

// Half way between neighbours goes to the even one, the rest to the nearer one.
template <class Half>
void check_rounding() {
  for (unsigned sign : {0u, 0x8000u}) {
    for (unsigned i = 0;; ++i) {
      Half low, high;
      low.bits = static_cast<std::uint16_t>(i | sign);
      high.bits = static_cast<std::uint16_t>((i + 1) | sign);
      const float a = low;
      const float b = high;
      if (!std::isfinite(b)) break;
      const auto middle = static_cast<float>((static_cast<double>(a) + b) / 2);
      ASSERT_EQ(Half(middle).bits, i % 2 == 0 ? low.bits : high.bits) << i;
      ASSERT_EQ(Half(std::nextafter(middle, a)).bits, low.bits) << i;
      ASSERT_EQ(Half(std::nextafter(middle, b)).bits, high.bits) << i;
    }
  }
}

TEST(Half, Float16IsExactForEveryValue) { check_every_value<Float16>(5, 10); }
TEST(Half, BFloat16IsExactForEveryValue) { check_every_value<BFloat16>(8, 7); }
TEST(Half, Float16RoundsToNearestEven) { check_rounding<Float16>(); }
TEST(Half, BFloat16RoundsToNearestEven) { check_rounding<BFloat16>(); }

TEST(Half, OverflowBecomesInfinity) {
  EXPECT_EQ(Float16(65504.0f).bits, 0x7bff);
  EXPECT_EQ(Float16(65519.0f).bits, 0x7bff);
  EXPECT_EQ(Float16(65520.0f).bits, 0x7c00);
  EXPECT_EQ(Float16(-1e30f).bits, 0xfc00);
  EXPECT_EQ(BFloat16(3.4e38f).bits, 0x7f80);
  EXPECT_EQ(Float16(1e-10f).bits, 0);
}

}  // namespace
}  // namespace chainrule
