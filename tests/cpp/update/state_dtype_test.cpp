#include "chainrule/update/state_dtype.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "chainrule/update/plan.h"
#include "support.h"

namespace chainrule::testing {
namespace {

using update::kStateBlock;

constexpr std::int64_t kSize = 3 * kStateBlock + 5;

// Of many magnitudes, a group of zeros among them.
std::vector<double> numbers() {
  std::vector<double> out = noise(kSize, 7);
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] *= std::pow(10.0, static_cast<double>(i % 7) - 5);
    if (i / kStateBlock == 1) out[i] = 0;
  }
  return out;
}

class Codes : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Squares, Codes, ::testing::Bool());

TEST_P(Codes, AreTheNearest) {
  const bool square = GetParam();
  std::vector<double> x = numbers();
  if (square) std::transform(x.begin(), x.end(), x.begin(), [](double v) { return v * v; });
  const StoredState state = stored_as({array_of(x, Dtype::float32), {}}, Dtype::int8, square);
  ASSERT_TRUE(state.is_coded());
  ASSERT_EQ(state.values.dtype(), Dtype::int8);
  ASSERT_EQ(state.scales.size(), 4);
  const std::vector<double> y = values_of(decoded_state(state, square));
  const std::vector<double> scales = values_of(state.scales);
  const double power = square ? 8 : 4;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double scale = scales[i / kStateBlock];
    if (scale == 0) {
      EXPECT_EQ(y[i], 0);
      continue;
    }
    const double level = std::pow(std::abs(x[i]) / scale, 1 / power) * 127;
    const double step = std::pow(std::min(std::floor(level) + 1, 127.0) / 127, power) -
                        std::pow(std::floor(level) / 127, power);
    EXPECT_LE(std::abs(y[i] - x[i]), (0.5 + 1e-4) * scale * step + 1e-12 * scale) << i;
    EXPECT_GE(y[i] * x[i], 0);
  }
  EXPECT_EQ(scales[1], 0);
}

TEST_P(Codes, OnceStoredStayAsTheyAre) {
  const bool square = GetParam();
  const StoredState once =
      stored_as({array_of(numbers(), Dtype::float32), {}}, Dtype::int8, square);
  const StoredState same = stored_as(once, Dtype::int8, square);
  EXPECT_EQ(same.values.raw(), once.values.raw());
  const StoredState wide = stored_as(once, Dtype::float32, square);
  EXPECT_FALSE(wide.is_coded());
  const StoredState again = stored_as(wide, Dtype::int8, square);
  EXPECT_EQ(values_of(again.values), values_of(once.values));
  EXPECT_EQ(values_of(decoded_state(again, square)), values_of(wide.values));
}

TEST_P(Codes, AGroupThatIsNotFiniteIsAloneWithIt) {
  for (const double bad : {std::numeric_limits<double>::infinity(), std::nan("")}) {
    std::vector<double> x(kSize, 0.5);
    x[kStateBlock + 3] = bad;
    const bool square = GetParam();
    const StoredState state = stored_as({array_of(x, Dtype::float32), {}}, Dtype::int8, square);
    const std::vector<double> y = values_of(decoded_state(state, square));
    for (std::size_t i = 0; i < y.size(); ++i) {
      if (i / kStateBlock == 1) {
        EXPECT_TRUE(std::isnan(y[i])) << i;
      } else {
        EXPECT_NEAR(y[i], 0.5, 0.02) << i;
      }
    }
  }
}

TEST_P(Codes, OfANewStateHoldItsNumber) {
  const bool square = GetParam();
  for (const double value : {0.0, 1.0, 0.25}) {
    const StoredState state = filled_state({5, 100}, Dtype::int8, {}, value, square);
    EXPECT_EQ(state.values.shape(), Shape({5, 100}));
    EXPECT_EQ(state.scales.size(), 2);
    for (const double y : values_of(decoded_state(state, square))) EXPECT_EQ(y, value);
  }
  const StoredState empty = filled_state({0, 3}, Dtype::int8, {}, 0, square);
  EXPECT_EQ(decoded_state(empty, square).size(), 0);
}

TEST(StateDtype, FloatingStatesAreConverted) {
  const Array x = array_of(numbers(), Dtype::float64);
  for (const Dtype dtype : {Dtype::float32, Dtype::bfloat16, Dtype::float64}) {
    const StoredState state = stored_as({x, {}}, dtype, false);
    EXPECT_FALSE(state.is_coded());
    EXPECT_EQ(values_of(state.values), values_of(as_dtype(x, dtype)));
    EXPECT_EQ(filled_state({3}, dtype, {}, 2, false).values.dtype(), dtype);
  }
}

}  // namespace
}  // namespace chainrule::testing
