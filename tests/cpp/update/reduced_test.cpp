#include "chainrule/update/reduced.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include "support.h"

namespace chainrule::testing {
namespace {

using update::decoded;
using update::encoded;
using update::rounded_stochastically;
using update::scale_of;

// All of them, so that a share of the results is a probability.
constexpr std::uint32_t kDraws = 1u << 16;

template <class Half>
class StochasticRounding : public ::testing::Test {};
using Halves = ::testing::Types<Float16, BFloat16>;
TYPED_TEST_SUITE(StochasticRounding, Halves);

TYPED_TEST(StochasticRounding, TheMeanIsTheNumber) {
  for (const double seed : noise(40, 3)) {
    for (const double magnitude : {1e-3, 1.0, 300.0}) {
      const auto x = static_cast<float>(seed * magnitude);
      std::map<float, int> found;
      double sum = 0;
      for (std::uint32_t k = 0; k < kDraws; ++k) {
        const float y = rounded_stochastically<TypeParam>(x, k);
        ++found[y];
        sum += static_cast<double>(y);
      }
      ASSERT_LE(found.size(), 2u) << x;
      const float low = found.begin()->first;
      const float high = found.rbegin()->first;
      EXPECT_LE(low, x);
      EXPECT_GE(high, x);
      const double step = static_cast<double>(high) - static_cast<double>(low);
      EXPECT_NEAR(sum / kDraws, static_cast<double>(x), step * 0x1p-14) << x;
      if (found.size() == 2) {
        // Neighbours: there is nothing between them.
        const float middle = TypeParam(static_cast<float>((static_cast<double>(low) + high) / 2));
        EXPECT_TRUE(middle == low || middle == high);
      }
    }
  }
}

TYPED_TEST(StochasticRounding, WhatTheTypeHoldsStays) {
  const float greatest = std::numeric_limits<float>::max();
  for (std::uint32_t k = 0; k < kDraws; k += 257) {
    for (const float x : {0.0f, 1.0f, -0.375f, 1024.0f}) {
      const float y = rounded_stochastically<TypeParam>(x, k);
      EXPECT_EQ(y, x);
    }
    const float infinity = std::numeric_limits<float>::infinity();
    EXPECT_EQ(float(rounded_stochastically<TypeParam>(infinity, k)), infinity);
    EXPECT_EQ(float(rounded_stochastically<TypeParam>(-infinity, k)), -infinity);
    EXPECT_TRUE(std::isnan(float(rounded_stochastically<TypeParam>(std::nanf(""), k))));
    // No draw makes an infinity of a number that rounding to the nearest keeps finite.
    const float last = std::is_same_v<TypeParam, BFloat16> ? 0x1.fep127f : 65504.0f;
    const float above = std::nextafter(last, greatest);
    EXPECT_EQ(float(rounded_stochastically<TypeParam>(above, k)), last);
    EXPECT_EQ(float(rounded_stochastically<TypeParam>(-above, k)), -last);
  }
}

template <bool square>
void check_codes() {
  // All codes come back, for any draw.
  for (int code = -127; code <= 127; ++code) {
    const double x = decoded<square>(static_cast<std::int8_t>(code), 8.0);
    for (std::uint32_t k = 0; k < kDraws; k += 4369) {
      EXPECT_EQ(encoded<square>(x, 0.125, k), code) << k;
      EXPECT_EQ(encoded<square>(static_cast<float>(x), 0.125f, k), code) << k;
    }
    EXPECT_EQ(encoded<square>(x, 0.125, kDraws - 1), code);
  }
  // In between, the mean is the number.
  for (const double share : {1e-5, 0.003, 0.11, 0.5, 0.77, 0.999}) {
    for (const double sign : {-1.0, 1.0}) {
      const double x = sign * share * 8;
      double sum = 0;
      double least = 1e9;
      double most = -1e9;
      for (std::uint32_t k = 0; k < kDraws; ++k) {
        const double y = decoded<square>(encoded<square>(x, 0.125, k), 8.0);
        sum += y;
        least = std::min(least, y);
        most = std::max(most, y);
      }
      EXPECT_LE(least, x);
      EXPECT_GE(most, x);
      EXPECT_NEAR(sum / kDraws, x, (most - least) * 0x1p-14) << x;
      const double below = std::pow(std::abs(least) / 8, square ? 0.125 : 0.25) * 127;
      const double above = std::pow(std::abs(most) / 8, square ? 0.125 : 0.25) * 127;
      EXPECT_NEAR(std::abs(above - below), 1, 1e-9) << x;
    }
  }
}

// What `encoded` rests on: it looks no further than one level from there.
template <bool square>
void check_levels() {
  for (std::uint32_t bits = 0; bits <= 0x3f800000u; bits += 997) {
    const float share = half_bits::bit_cast<float>(bits);
    const double exact = 127 * std::pow(static_cast<double>(share), square ? 0.125 : 0.25);
    const float level = update::level_near<square>(share);
    ASSERT_LT(std::abs(static_cast<double>(level) - exact), 0.95) << share;
    ASSERT_EQ(level, std::floor(level));
    ASSERT_LE(level, 127);
  }
}

TEST(ReducedCodes, OfMeansStartBesideTheRoot) { check_levels<false>(); }
TEST(ReducedCodes, OfSquaresStartBesideTheRoot) { check_levels<true>(); }

TEST(ReducedCodes, OfMeansAreUnbiased) { check_codes<false>(); }
TEST(ReducedCodes, OfSquaresAreUnbiased) { check_codes<true>(); }

TEST(ReducedCodes, AScaleIsAPowerOfTwoThatStaysWhileItFits) {
  for (const float largest : {1e-30f, 0.3f, 1.0f, 1.5f, 1e30f}) {
    const float scale = scale_of(largest, 0);
    EXPECT_GE(scale, largest);
    EXPECT_LT(scale, 2 * largest);
    int exponent = 0;
    EXPECT_EQ(std::frexp(scale, &exponent), 0.5f);
    EXPECT_EQ(scale_of(largest / 2, scale), scale);
    EXPECT_LT(scale_of(largest / 8, scale), scale);
    EXPECT_GT(scale_of(largest * 4, scale), scale);
  }
  EXPECT_EQ(scale_of(0, 0), 0);
  EXPECT_EQ(scale_of(std::numeric_limits<float>::max(), 0), 0x1p127f);
  EXPECT_TRUE(std::isnan(scale_of(std::numeric_limits<float>::infinity(), 1)));
  EXPECT_TRUE(std::isnan(scale_of(std::nanf(""), 1)));
}

}  // namespace
}  // namespace chainrule::testing
