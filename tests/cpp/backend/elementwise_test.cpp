#include "chainrule/backend/elementwise.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "../support.h"
#include "chainrule/backend/parallel.h"

namespace chainrule {
namespace {

using testing::values;
using Doubles = std::vector<double>;

const ElementwiseKernel& kernel(const char* name) {
  return *static_cast<const ElementwiseKernel*>(KernelBase::find(name));
}

Array random(const Shape& shape, std::mt19937& engine) {
  Array out(shape, Dtype::float64);
  std::normal_distribution<double> normal;
  for (std::int64_t i = 0; i < out.size(); ++i) out.data<double>()[i] = normal(engine);
  return out;
}

// Element (i, j, ...) by its strides alone.
double at(const Array& x, std::int64_t flat) {
  const std::byte* p = x.raw();
  for (int d = x.ndim(); d-- > 0;) {
    p += flat % x.shape()[d] * x.strides()[d];
    flat /= x.shape()[d];
  }
  return *reinterpret_cast<const double*>(p);
}

TEST(Elementwise, AnyStridesGiveTheSameSums) {
  std::mt19937 engine(0);
  for (int round = 0; round < 200; ++round) {
    Shape shape;
    for (unsigned d = engine() % 5; d > 0; --d) shape.push_back(1 + engine() % 5);
    // A permuted, possibly reversed and broadcast view of the same shape.
    const auto view = [&](Shape s) {
      for (std::int64_t& d : s) {
        if (engine() % 4 == 0) d = 1;
      }
      Axes axes;
      for (int i = 0; i < s.size(); ++i) axes.push_back(i);
      std::shuffle(axes.begin(), axes.end(), engine);
      Shape stored = s;
      for (int i = 0; i < s.size(); ++i) stored[static_cast<int>(axes[i])] = s[i];
      Array x = random(stored, engine).transposed(axes);
      if (x.ndim() > 0 && engine() % 2) {
        Strides strides = x.strides();
        const std::int64_t offset = strides[0] * (x.shape()[0] - 1);
        strides[0] = -strides[0];
        x = x.view(x.shape(), strides, offset);
      }
      return x;
    };
    const Array a = view(shape);
    const Array b = view(shape);
    Array out(shape, Dtype::float64);
    run_elementwise(kernel("add"), Dtype::float64, out, {&a, &b});
    const Array wide_a = a.broadcast_to("test", shape);
    const Array wide_b = b.broadcast_to("test", shape);
    for (std::int64_t i = 0; i < out.size(); ++i) {
      ASSERT_EQ(out.data<double>()[i], at(wide_a, i) + at(wide_b, i)) << "shape " << shape;
    }
  }
}

TEST(Elementwise, ThreadsChangeNoBit) {
  std::mt19937 engine(1);
  const Array x = random({300, 701}, engine).transposed({1, 0});
  Array one(x.shape(), x.dtype());
  Array many(x.shape(), x.dtype());
  const int before = num_threads();
  const double params[2] = {};
  set_num_threads(1);
  run_elementwise(kernel("tanh"), Dtype::float64, one, {&x}, params);
  set_num_threads(3);
  run_elementwise(kernel("tanh"), Dtype::float64, many, {&x}, params);
  set_num_threads(before);
  EXPECT_EQ(values(one), values(many));
}

TEST(Elementwise, EmptyAndZeroDimensional) {
  Array empty({0, 3}, Dtype::float32);
  run_elementwise(kernel("add"), Dtype::float32, empty, {&empty, &empty});
  const Array scalar = filled({}, Dtype::float32, {}, 2.5);
  Array out({}, Dtype::float32);
  run_elementwise(kernel("multiply"), Dtype::float32, out, {&scalar, &scalar});
  EXPECT_EQ(values(out), Doubles{6.25});
}

TEST(Elementwise, HalvesWithoutAKernelGoThroughFloat) {
  const Array s = testing::array({0.5, -1}, Dtype::bfloat16);
  Array out({2}, Dtype::bfloat16);
  const double params[2] = {};
  run_elementwise(kernel("tanh.derivative2"), Dtype::bfloat16, out, {&s, &s}, params);
  // d/ds of (1 - s^2) u at u = s
  EXPECT_EQ(values(out), (Doubles{-0.5, -2.0}));
}

TEST(Elementwise, ConvertsBetweenEveryTwoDtypes) {
  for (int from = 0; from < kDtypeCount; ++from) {
    for (int to = 0; to < kDtypeCount; ++to) {
      const Array x = testing::array({0, 1, 1}, static_cast<Dtype>(from));
      EXPECT_EQ(values(as_dtype(x, static_cast<Dtype>(to))), (Doubles{0, 1, 1}))
          << static_cast<Dtype>(from) << " to " << static_cast<Dtype>(to);
    }
  }
}

TEST(Elementwise, FloatsOutsideAnIntegerAreDefined) {
  const Array x = testing::array({NAN, INFINITY, 1e30, -1e30, 300});
  EXPECT_EQ(values(as_dtype(x, Dtype::int64)), (Doubles{0, 0, 0, 0, 300}));
  EXPECT_EQ(values(as_dtype(x, Dtype::uint8)), (Doubles{0, 0, 0, 0, 44}));
}

TEST(Elementwise, MissingKernelsSayWhatThereIs) {
  const Array flags = testing::array({1, 0}, Dtype::bool_);
  Array out({2}, Dtype::bool_);
  try {
    run_elementwise(kernel("tanh"), Dtype::bool_, out, {&flags});
    FAIL();
  } catch (const NotSupportedError& error) {
    EXPECT_NE(std::string(error.what()).find("[tanh] no kernel: got cpu bool"), std::string::npos)
        << error.what();
    EXPECT_NE(std::string(error.what()).find("cpu float32"), std::string::npos);
  }
}

}  // namespace
}  // namespace chainrule
