#include "chainrule/functors/math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "chainrule/functors/dual.h"

// The polynomials against <cmath> in the next wider type, in units of the last place.
namespace chainrule::functors {
namespace {

template <class T>
using Wide = std::conditional_t<std::is_same_v<T, float>, double, long double>;

template <class T>
Wide<T> ulps(T got, Wide<T> expected) {
  if (std::isnan(expected)) return std::isnan(got) ? 0 : HUGE_VAL;
  const T rounded = static_cast<T>(expected);
  if (std::isinf(rounded)) return got == rounded ? 0 : HUGE_VAL;
  const T next = std::nextafter(std::abs(rounded), std::numeric_limits<T>::infinity());
  const Wide<T> unit = Wide<T>(next) - std::abs(Wide<T>(rounded));
  return std::abs(Wide<T>(got) - expected) / unit;
}

// Points of all magnitudes between low and high, and evenly spaced ones.
template <class T>
std::vector<T> points(double low, double high) {
  std::mt19937_64 engine(1);
  std::uniform_real_distribution<double> even(low, high);
  std::uniform_real_distribution<double> exponent(-40, std::log2(std::max(-low, high)));
  std::vector<T> all = {T(low), T(high)};
  for (int i = 0; i < 200000; ++i) {
    all.push_back(static_cast<T>(even(engine)));
    const double magnitude = std::exp2(exponent(engine));
    for (double x : {magnitude, -magnitude}) {
      if (x >= low && x <= high) all.push_back(static_cast<T>(x));
    }
  }
  return all;
}

template <class T, class F, class G>
void check(const char* name, F f, G reference, double low, double high, double limit) {
  Wide<T> worst = 0;
  T where = 0;
  for (T x : points<T>(low, high)) {
    const Wide<T> error = ulps<T>(f(x), reference(Wide<T>(x)));
    if (error > worst) {
      worst = error;
      where = x;
    }
  }
  EXPECT_LE(worst, limit) << name << " of " << where;
}

template <class T>
class Math : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Math, Types);

constexpr bool is_float(float) { return true; }
constexpr bool is_float(double) { return false; }

TYPED_TEST(Math, ElementaryFunctionsAreAccurate) {
  using T = TypeParam;
  using W = Wide<T>;
  const double top = is_float(T()) ? 88.7 : 709.7;
  check<T>("exp", [](T x) { return math::exp(x); }, [](W x) { return std::exp(x); }, -top, top, 2);
  check<T>(
      "expm1", [](T x) { return math::expm1(x); }, [](W x) { return std::expm1(x); }, -60, top, 3);
  check<T>("log", [](T x) { return math::log(x); }, [](W x) { return std::log(x); }, 0, 1e30, 2);
  check<T>(
      "log1p", [](T x) { return math::log1p(x); }, [](W x) { return std::log1p(x); }, -0.99, 1e30,
      3);
  check<T>("tanh", [](T x) { return math::tanh(x); }, [](W x) { return std::tanh(x); }, -30, 30, 4);
  check<T>(
      "sigmoid", [](T x) { return math::sigmoid(x); }, [](W x) { return 1 / (1 + std::exp(-x)); },
      -80, 80, 4);
  check<T>(
      "softplus", [](T x) { return math::softplus(x); },
      [](W x) { return std::log1p(std::exp(x)); }, -80, 80, 4);
}

TYPED_TEST(Math, SpecialValues) {
  using T = TypeParam;
  const T inf = std::numeric_limits<T>::infinity();
  const T nan = std::numeric_limits<T>::quiet_NaN();
  EXPECT_EQ(math::exp(inf), inf);
  EXPECT_EQ(math::exp(-inf), 0);
  EXPECT_EQ(math::exp(T(0)), 1);
  EXPECT_EQ(math::expm1(inf), inf);
  EXPECT_EQ(math::expm1(-inf), -1);
  EXPECT_EQ(math::expm1(T(0)), 0);
  EXPECT_EQ(math::log(T(0)), -inf);
  EXPECT_EQ(math::log(inf), inf);
  EXPECT_EQ(math::log(T(1)), 0);
  EXPECT_TRUE(std::isnan(math::log(T(-1))));
  EXPECT_EQ(math::log1p(T(-1)), -inf);
  EXPECT_EQ(math::log1p(inf), inf);
  EXPECT_TRUE(std::isnan(math::log1p(T(-2))));
  EXPECT_EQ(math::tanh(inf), 1);
  EXPECT_EQ(math::tanh(-inf), -1);
  EXPECT_EQ(math::sigmoid(-inf), 0);
  EXPECT_EQ(math::softplus(inf), inf);
  EXPECT_EQ(math::softplus(-inf), 0);
  EXPECT_TRUE(std::isnan(math::exp(nan)) && std::isnan(math::log(nan)) &&
              std::isnan(math::tanh(nan)) && std::isnan(math::expm1(nan)) &&
              std::isnan(math::log1p(nan)) && std::isnan(math::sigmoid(nan)) &&
              std::isnan(math::softplus(nan)));
  EXPECT_TRUE(std::isnan(math::max(nan, T(1))) && std::isnan(math::max(T(1), nan)) &&
              std::isnan(math::min(nan, T(1))) && std::isnan(math::min(T(1), nan)));
}

TYPED_TEST(Math, SubnormalsAreRight) {
  using T = TypeParam;
  const T tiny = std::numeric_limits<T>::denorm_min();
  EXPECT_NEAR(static_cast<double>(math::log(tiny)), std::log(static_cast<double>(tiny)), 1e-4);
  const T low = is_float(T()) ? T(-100) : T(-740);
  EXPECT_GT(math::exp(low), 0);
  EXPECT_LE(std::abs(math::exp(low) - std::exp(low)), 2 * tiny);
}

TYPED_TEST(Math, DualNumbersCarryTheDerivative) {
  using T = TypeParam;
  using D = math::Dual<T>;
  const T eps = is_float(T()) ? T(1e-3) : T(1e-6);
  const double tolerance = is_float(T()) ? 5e-3 : 1e-8;
  const auto check_slope = [&](auto f, T x) {
    const T slope = f(D(x, T(1))).slope;
    const double numerical = (static_cast<double>(f(T(x + eps))) - f(T(x - eps))) / (2 * eps);
    EXPECT_NEAR(slope, numerical, tolerance * (1 + std::abs(numerical))) << x;
  };
  for (double point : {0.3, 0.9, 1.7}) {
    const T x = static_cast<T>(point);
    check_slope([](auto v) { return math::exp(v); }, x);
    check_slope([](auto v) { return math::log(v); }, x);
    check_slope([](auto v) { return math::tanh(v); }, x);
    check_slope([](auto v) { return math::sigmoid(v); }, x);
    check_slope([](auto v) { return math::softplus(v); }, x);
    check_slope([](auto v) { return v * v / (v + v * v); }, x);
  }
}

}  // namespace
}  // namespace chainrule::functors
