#include "chainrule/backend/gemm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "../support.h"
#include "chainrule/backend/elementwise.h"
#include "chainrule/backend/parallel.h"
#include "matrices.h"

namespace chainrule {
namespace {

using testing::random;
using testing::random_layout;
using testing::values;

// alpha a b + beta c + bias by three loops over doubles; a, b, c are 2-d.
std::vector<double> naive(const Array& a,
                          const Array& b,
                          const GemmOptions& options,
                          const std::vector<double>& c) {
  const std::vector<double> left = values(a);
  const std::vector<double> right = values(b);
  const std::int64_t m = a.shape()[0];
  const std::int64_t k = a.shape()[1];
  const std::int64_t n = b.shape()[1];
  const std::vector<double> bias = options.bias ? values(*options.bias) : std::vector<double>();
  std::vector<double> out;
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (std::int64_t p = 0; p < k; ++p) {
        sum +=
            left[static_cast<std::size_t>(i * k + p)] * right[static_cast<std::size_t>(p * n + j)];
      }
      sum *= options.alpha;
      if (options.beta != 0) sum += options.beta * c[static_cast<std::size_t>(i * n + j)];
      if (options.bias) sum += bias[static_cast<std::size_t>(j)];
      out.push_back(sum);
    }
  }
  return out;
}

Array flipped(const Array& x, bool flip) { return flip ? x.transposed({1, 0}) : x; }

class Gemm : public ::testing::TestWithParam<Dtype> {};

TEST_P(Gemm, AgreesWithThreeLoops) {
  std::mt19937 engine(1);
  const std::int64_t sizes[] = {0, 1, 2, 3, 4, 5, 7, 12, 17, 31, 33, 64, 70};
  for (int round = 0; round < 300; ++round) {
    const auto size = [&] { return sizes[engine() % std::size(sizes)]; };
    const std::int64_t m = size();
    const std::int64_t k = size();
    const std::int64_t n = size();
    const bool ta = engine() % 2;
    const bool tb = engine() % 2;
    const Array a = random_layout(ta ? Shape{k, m} : Shape{m, k}, GetParam(), engine);
    const Array b = random_layout(tb ? Shape{n, k} : Shape{k, n}, GetParam(), engine);
    const Array c = random_layout({m, n}, GetParam(), engine);
    const Array bias = random({n}, GetParam(), engine);
    GemmOptions options{.transpose_a = ta, .transpose_b = tb};
    if (engine() % 3 == 0) options.alpha = 2;
    if (engine() % 3 == 0) options.beta = -1;
    if (engine() % 3 == 0) options.bias = &bias;
    const std::vector<double> expected = naive(flipped(a, ta), flipped(b, tb), options, values(c));
    if (options.beta == 0 && is_floating(c.dtype())) fill(c, std::nan(""));  // must not be read
    gemm(c, a, b, options);
    ASSERT_EQ(values(c), expected) << m << "x" << k << "x" << n << " round " << round;
  }
}

TEST_P(Gemm, LargerThanEveryBlock) {
  std::mt19937 engine(2);
  for (const Shape& size : {Shape{160, 300, 530}, Shape{2, 600, 300}, Shape{300, 520, 1}}) {
    const Array a = random_layout({size[0], size[1]}, GetParam(), engine);
    const Array b = random_layout({size[1], size[2]}, GetParam(), engine);
    const Array c = random({size[0], size[2]}, GetParam(), engine);
    gemm(c, a, b);
    ASSERT_EQ(values(c), naive(a, b, {}, {}));
  }
}

TEST_P(Gemm, BatchesBroadcast) {
  std::mt19937 engine(3);
  const Array a = random_layout({3, 1, 5, 4}, GetParam(), engine);
  const Array b = random_layout({2, 4, 20}, GetParam(), engine);
  const Array c({3, 2, 5, 20}, GetParam());
  gemm(c, a, b);
  for (std::int64_t i = 0; i < 3; ++i) {
    for (std::int64_t j = 0; j < 2; ++j) {
      const auto part = [](const Array& x, std::int64_t offset) {
        const int n = x.ndim();
        return x.view({x.shape()[n - 2], x.shape()[n - 1]},
                      {x.strides()[n - 2], x.strides()[n - 1]}, offset);
      };
      ASSERT_EQ(values(part(c, i * c.strides()[0] + j * c.strides()[1])),
                naive(part(a, i * a.strides()[0]), part(b, j * b.strides()[0]), {}, {}));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Dtypes,
    Gemm,
    ::testing::Values(Dtype::float32, Dtype::float64, Dtype::int32, Dtype::int64),
    [](const auto& test) { return std::string(dtype_name(test.param)); });

TEST(GemmNarrow, HalvesAreSummedInFloat32) {
  std::mt19937 engine(4);
  for (const Dtype dtype : {Dtype::float16, Dtype::bfloat16}) {
    // The largest sums, 9 * 28 = 252, are exact in both.
    const Array a = random({9, 28}, dtype, engine);
    const Array b = random({28, 30}, dtype, engine);
    const Array c({9, 30}, dtype);
    gemm(c, a, b);
    EXPECT_EQ(values(c), naive(a, b, {}, {}));
  }
}

TEST(GemmNarrow, Bfloat16AsItIs) {
  if (!has_bfloat16_gemm({})) GTEST_SKIP() << "no instructions for it";
  std::mt19937 engine(6);
  const int before = num_threads();
  // All sums are exact; past the edges of the parts that threads share, too.
  for (const Shape& size : {Shape{9, 28, 30}, Shape{1, 5, 1}, Shape{400, 3, 800}}) {
    for (const bool turned : {false, true}) {
      const Array a = random_layout({size[0], size[1]}, Dtype::bfloat16, engine);
      const Array b = random_layout({size[1], size[2]}, Dtype::bfloat16, engine);
      const Array c = random({size[0], size[2]}, Dtype::bfloat16, engine);
      const Array out = turned ? copied(c.transposed({1, 0})).transposed({1, 0}) : c;
      GemmOptions options{.alpha = 2, .beta = turned ? -1.0 : 0.0, .narrow = true};
      const std::vector<double> expected = naive(a, b, options, values(c));
      set_num_threads(turned ? 3 : 1);
      gemm(out, a, b, options);
      set_num_threads(before);
      ASSERT_EQ(values(out), expected) << size;
    }
  }
}

TEST(GemmNarrow, IntegersWrapAndBoolsStayBools) {
  const Array big = filled({2, 3}, Dtype::int8, {}, 100);
  const Array out({2, 2}, Dtype::int8);
  gemm(out, big, big, {.transpose_b = true});
  EXPECT_EQ(values(out), std::vector<double>(4, 30000 % 256));
  const Array yes = filled({2, 300}, Dtype::bool_, {}, 1);
  const Array any({2, 2}, Dtype::bool_);
  gemm(any, yes, yes, {.transpose_b = true});
  EXPECT_EQ(values(any), std::vector<double>(4, 1));
}

TEST(GemmLayout, AFieldOfARecord) {
  // 8-byte numbers, 24 bytes apart; what is not aligned never becomes an Array.
  const Array memory({24 * 6}, Dtype::uint8);
  for (int i = 0; i < 6; ++i) {
    const double value = i;
    std::memcpy(memory.raw() + 24 * i, &value, sizeof value);
  }
  const Array a(memory.storage(), memory.raw(), {2, 3}, {72, 24}, Dtype::float64);
  const Array c({2, 2}, Dtype::float64);
  gemm(c, a, a, {.transpose_b = true});
  EXPECT_EQ(values(c), (std::vector<double>{5, 14, 14, 50}));
}

TEST(GemmThreads, ResultsDoNotDependOnTheirNumber) {
  const int before = num_threads();
  std::mt19937 engine(5);
  std::normal_distribution<double> normal;
  const auto draw = [&](const Shape& shape, Dtype dtype) {
    Array x(shape, Dtype::float64);
    for (std::int64_t i = 0; i < x.size(); ++i) x.data<double>()[i] = normal(engine);
    return as_dtype(x, dtype);
  };
  const struct {
    Dtype dtype;
    Shape a;
    Shape b;
  } cases[] = {
      {Dtype::float64, {157, 301}, {301, 203}},     {Dtype::float64, {3, 2000}, {2000, 1001}},
      {Dtype::float64, {64, 20, 30}, {64, 30, 40}}, {Dtype::float32, {64, 8, 9}, {64, 9, 10}},
      {Dtype::float32, {64, 20, 30}, {64, 30, 40}}, {Dtype::float32, {32, 128, 64}, {32, 64, 130}}};
  for (const auto& c : cases) {
    const Array a = draw(c.a, c.dtype);
    const Array b = draw(c.b, c.dtype);
    Shape shape = c.a;
    shape[shape.size() - 1] = c.b.back();
    std::vector<double> first;
    for (int threads : {1, 2, 3, 7}) {
      set_num_threads(threads);
      const Array out(shape, c.dtype);
      gemm(out, a, b);
      if (threads == 1) {
        first = values(out);
      } else {
        EXPECT_EQ(values(out), first) << threads << " threads";
      }
    }
  }
  set_num_threads(before);
}

TEST(GemmThreads, ReproducibleProductsDependOnTheirOperandsAlone) {
  const int before = num_threads();
  std::mt19937 engine(6);
  std::normal_distribution<double> normal;
  const auto draw = [&](const Shape& shape) {
    Array x(shape, Dtype::float64);
    for (std::int64_t i = 0; i < x.size(); ++i) x.data<double>()[i] = normal(engine);
    return as_dtype(x, Dtype::float32);
  };
  // Wide sums, which a library may share among threads, and more than one part.
  const Shape shapes[][2] = {{{2, 40, 5000}, {2, 5000, 30}}, {{2, 500, 60}, {2, 60, 900}}};
  for (const auto& [left, right] : shapes) {
    const Array a = draw(left);
    const Array b = draw(right);
    const Array bias = draw({right[2]});
    const Shape shape{2, left[1], right[2]};
    Array exact(shape, Dtype::float64);
    gemm(exact, as_dtype(a, Dtype::float64), as_dtype(b, Dtype::float64));
    std::vector<double> first;
    for (int threads : {1, 2, 3, 7}) {
      set_num_threads(threads);
      const Array out(shape, Dtype::float32);
      gemm(out, a, b, {.bias = &bias, .reproducible = true});
      if (threads == 1) first = values(out);
      EXPECT_EQ(values(out), first) << threads << " threads";
      // The second product by itself.
      const auto second = [](const Array& x) {
        const Shape one{x.shape()[1], x.shape()[2]};
        return x.view(one, {x.strides()[1], x.strides()[2]}, x.strides()[0]);
      };
      const Array alone({left[1], right[2]}, Dtype::float32);
      gemm(alone, second(a), second(b), {.bias = &bias, .reproducible = true});
      EXPECT_EQ(values(alone), values(second(out)));
    }
    const std::vector<double> expected = values(exact);
    for (std::size_t i = 0; i < first.size(); ++i) {
      const auto column = static_cast<std::int64_t>(i) % right[2];
      ASSERT_NEAR(first[i], expected[i] + bias.data<float>()[column], 2e-3);
    }
  }
  set_num_threads(before);
}

}  // namespace
}  // namespace chainrule
