#include "chainrule/backend/reduction.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "../support.h"
#include "chainrule/backend/parallel.h"

namespace chainrule {
namespace {

const ReductionKernel& kernel(const char* name) {
  return *static_cast<const ReductionKernel*>(KernelBase::find(name));
}

Array random(const Shape& shape, Dtype dtype, std::mt19937& engine) {
  Array out(shape, Dtype::float64);
  std::uniform_real_distribution<double> uniform(-1, 1);
  for (std::int64_t i = 0; i < out.size(); ++i) out.data<double>()[i] = uniform(engine);
  return as_dtype(out, dtype);
}

// Element by element, one after the other, in double.
std::vector<double> naive_sum(const Array& x, const Axes& axes) {
  const Shape kept = reduced_shape(x.shape(), axes, true);
  std::vector<double> out(static_cast<std::size_t>(element_count(kept)), 0.0);
  const std::vector<double> all = testing::values(x);
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto rest = static_cast<std::int64_t>(i);
    std::int64_t place = 0;
    std::int64_t below = 1;
    for (int d = x.ndim(); d-- > 0;) {
      const std::int64_t at = rest % x.shape()[d];
      rest /= x.shape()[d];
      place += (kept[d] == 1 ? 0 : at) * below;
      below *= kept[d];
    }
    out[static_cast<std::size_t>(place)] += all[i];
  }
  return out;
}

Array sum(const Array& x, const Axes& axes) {
  Array out(reduced_shape(x.shape(), axes, false), x.dtype());
  run_reduction(kernel("sum"), out, x, axes, {});
  return out;
}

TEST(Reduction, SumsOfAnyShapeAxesAndStrides) {
  std::mt19937 engine(0);
  for (int round = 0; round < 400; ++round) {
    Shape shape;
    Axes order;
    for (unsigned d = engine() % 5; d > 0; --d) {
      order.push_back(shape.size());
      shape.push_back(1 + engine() % (round % 10 == 0 ? 40 : 6));
    }
    Array x = random(shape, Dtype::float32, engine);
    std::shuffle(order.begin(), order.end(), engine);
    x = x.transposed(order);
    for (int d = 0; d < x.ndim(); ++d) {
      Strides strides = x.strides();
      Shape cut = x.shape();
      std::int64_t offset = 0;
      if (engine() % 3 == 0) {  // backwards
        offset = (cut[d] - 1) * strides[d];
        strides[d] = -strides[d];
      } else if (engine() % 3 == 0) {  // every second
        cut[d] = (cut[d] + 1) / 2;
        strides[d] *= 2;
      } else if (engine() % 5 == 0) {  // repeated
        strides[d] = 0;
      }
      x = x.view(cut, strides, offset);
    }
    Axes axes;
    for (int d = 0; d < x.ndim(); ++d) {
      if (engine() % 2) axes.push_back(d);
    }
    const std::vector<double> expected = naive_sum(x, axes);
    const std::vector<double> got = testing::values(sum(x, axes));
    ASSERT_EQ(got.size(), expected.size());
    // A few roundings of the sum and of partial sums, which grow with the root of their number.
    const double summands = static_cast<double>(x.size()) / static_cast<double>(got.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      const double tolerance = 1e-6 + 3e-7 * std::sqrt(summands) + 3e-7 * std::abs(expected[i]);
      ASSERT_NEAR(got[i], expected[i], tolerance) << x.shape() << x.strides() << axes;
    }
  }
}

TEST(Reduction, ErrorsDoNotGrowWithTheNumberOfElements) {
  std::mt19937 engine(1);
  for (const Shape& shape : {Shape{3'000'000}, Shape{300'000, 10}, Shape{1000, 3000}}) {
    Array x = random(shape, Dtype::float32, engine);
    for (std::int64_t i = 0; i < x.size(); ++i) x.data<float>()[i] = 1 + 1e-3f * x.data<float>()[i];
    for (int axis = 0; axis < shape.size(); ++axis) {
      const std::vector<double> expected = naive_sum(x, {axis});
      const std::vector<double> got = testing::values(sum(x, {axis}));
      for (std::size_t i = 0; i < got.size(); ++i) {
        ASSERT_LE(std::abs(got[i] / expected[i] - 1), 6e-7) << shape << axis;
      }
    }
  }
}

TEST(Reduction, BitsDoNotDependOnTheNumberOfThreads) {
  std::mt19937 engine(2);
  const int before = num_threads();
  for (const Shape& shape : {Shape{1'000'003}, Shape{5000, 301}, Shape{200'001, 9}}) {
    const Array x = random(shape, Dtype::float32, engine);
    for (int axis = 0; axis < shape.size(); ++axis) {
      set_num_threads(1);
      const Array alone = sum(x, {axis});
      for (int threads : {2, 3, 8}) {
        set_num_threads(threads);
        const Array together = sum(x, {axis});
        EXPECT_EQ(
            std::memcmp(alone.raw(), together.raw(), static_cast<std::size_t>(alone.nbytes())), 0);
      }
    }
  }
  set_num_threads(before);
}

TEST(Reduction, FindsTheFirstOfEqualOnesAndNaN) {
  const double nan = std::nan("");
  const struct {
    std::initializer_list<double> x;
    int most;
    int least;
  } table[] = {
      {{1, 3, 3, 2}, 1, 0},           {{5}, 0, 0}, {{2, nan, 9, nan}, 1, 1}, {{-1, -1}, 0, 0},
      {{-HUGE_VAL, -HUGE_VAL}, 0, 0},
  };
  for (const auto& row : table) {
    for (Dtype dtype : {Dtype::float32, Dtype::float64}) {
      const Array x = testing::array(row.x, dtype);
      const Array place({}, Dtype::int32);
      run_find(kernel("argmax"), place, x, 0);
      EXPECT_EQ(*place.data<std::int32_t>(), row.most);
      run_find(kernel("argmin"), place, x, 0);
      EXPECT_EQ(*place.data<std::int32_t>(), row.least);
    }
  }
}

}  // namespace
}  // namespace chainrule
