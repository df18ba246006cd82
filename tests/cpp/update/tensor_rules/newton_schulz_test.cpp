#include "chainrule/update/tensor_rules/newton_schulz.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "../support.h"
#include "chainrule/backend/gemm.h"
#include "chainrule/backend/parallel.h"

namespace chainrule::testing {
namespace {

using Matrix = std::vector<double>;

Matrix multiply(const Matrix& a, const Matrix& b, std::int64_t n, std::int64_t k, std::int64_t m) {
  Matrix out(static_cast<std::size_t>(n * m), 0);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t l = 0; l < k; ++l)
      for (std::int64_t j = 0; j < m; ++j)
        out[static_cast<std::size_t>(i * m + j)] +=
            a[static_cast<std::size_t>(i * k + l)] * b[static_cast<std::size_t>(l * m + j)];
  return out;
}

Matrix transposed(const Matrix& a, std::int64_t n, std::int64_t m) {
  Matrix out(a.size());
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < m; ++j)
      out[static_cast<std::size_t>(j * n + i)] = a[static_cast<std::size_t>(i * m + j)];
  return out;
}

// The iteration as it is written, in double.
Matrix reference(Matrix x, std::int64_t n, std::int64_t m, int steps) {
  double norm = 0;
  for (const double v : x) norm += v * v;
  for (double& v : x) v /= std::sqrt(norm);
  for (int step = 0; step < steps; ++step) {
    const Matrix gram = multiply(x, transposed(x, n, m), n, m, n);
    const Matrix square = multiply(gram, gram, n, n, n);
    Matrix inner(gram.size());
    for (std::size_t i = 0; i < gram.size(); ++i) inner[i] = -4.775 * gram[i] + 2.0315 * square[i];
    const Matrix outer = multiply(inner, x, n, n, m);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = 3.4445 * x[i] + outer[i];
  }
  return x;
}

Array batch_of(const std::vector<double>& values, const Shape& shape, Dtype dtype) {
  return array_of(values, dtype).view(shape, contiguous_strides(shape, item_size(dtype)));
}

std::vector<double> norms_of(const Array& batch) {
  const std::vector<double> all = values_of(batch);
  const auto count = static_cast<std::size_t>(batch.shape()[0]);
  std::vector<double> norms(count, 0);
  for (std::size_t i = 0; i < all.size(); ++i) norms[i / (all.size() / count)] += all[i] * all[i];
  for (double& norm : norms) norm = std::sqrt(norm);
  return norms;
}

TEST(NewtonSchulz, IsTheIterationForEveryShape) {
  const Shape shapes[] = {{2, 3, 5}, {1, 5, 3}, {3, 4, 4}, {1, 1, 6}, {2, 7, 1}, {1, 210, 250}};
  for (const Shape& shape : shapes) {
    const std::int64_t n = shape[1];
    const std::int64_t m = shape[2];
    const std::vector<double> numbers = noise(element_count(shape), 7);
    const Array x = batch_of(numbers, shape, Dtype::float64);
    const std::vector<double> norms = norms_of(x);
    const std::vector<double> found = values_of(newton_schulz(x, norms.data(), 5, x.dtype()));
    for (std::int64_t k = 0; k < shape[0]; ++k) {
      const auto at = static_cast<std::ptrdiff_t>(k * n * m);
      const Matrix expected =
          reference({numbers.begin() + at, numbers.begin() + at + n * m}, n, m, 5);
      for (std::size_t i = 0; i < expected.size(); ++i) {
        ASSERT_NEAR(found[static_cast<std::size_t>(at) + i], expected[i], 1e-11) << shape;
      }
    }
  }
}

void check_bits(Dtype dtype) {
  const int threads = num_threads();
  const Shape shape{3, 200, 330};
  const std::vector<double> numbers = noise(element_count(shape), 9);
  const auto run = [&](const Shape& wanted, std::int64_t skip, int count) {
    set_num_threads(count);
    const auto at = numbers.begin() + static_cast<std::ptrdiff_t>(skip);
    const Array x = batch_of({at, at + element_count(wanted)}, wanted, Dtype::float32);
    const std::vector<double> norms = norms_of(x);
    return newton_schulz(x, norms.data(), 5, dtype);
  };
  const Array serial = run(shape, 0, 1);
  const Array parallel = run(shape, 0, 3);
  const Array alone = run({1, 200, 330}, 2 * 200 * 330, 2);
  set_num_threads(threads);
  const auto bytes = static_cast<std::size_t>(serial.nbytes());
  EXPECT_EQ(std::memcmp(serial.raw(), parallel.raw(), bytes), 0);
  EXPECT_EQ(std::memcmp(serial.raw() + bytes / 3 * 2, alone.raw(), bytes / 3), 0);
}

TEST(NewtonSchulz, BitsDependOnTheMatrixAlone) { check_bits(Dtype::float32); }

TEST(NewtonSchulz, InBfloat16IsTheSameIterationWithLargerSteps) {
  if (!has_bfloat16_gemm({})) GTEST_SKIP() << "no instructions for it";
  check_bits(Dtype::bfloat16);
  for (const Shape& shape : {Shape{2, 40, 60}, Shape{1, 60, 40}, Shape{1, 210, 800}}) {
    const std::vector<double> numbers = noise(element_count(shape), 7);
    const Array wide = batch_of(numbers, shape, Dtype::float64);
    const Array x = batch_of(numbers, shape, Dtype::float32);
    const std::vector<double> norms = norms_of(wide);
    const auto expected = values_of(newton_schulz(wide, norms.data(), 5, Dtype::float64));
    const Array out = newton_schulz(x, norms.data(), 5, Dtype::bfloat16);
    ASSERT_EQ(out.dtype(), Dtype::float32);
    const std::vector<double> found = values_of(out);
    double off = 0;
    double size = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      off += (found[i] - expected[i]) * (found[i] - expected[i]);
      size += expected[i] * expected[i];
    }
    EXPECT_LT(std::sqrt(off / size), 0.02) << shape;
    EXPECT_GT(std::sqrt(off / size), 1e-4) << shape;
  }
}

}  // namespace
}  // namespace chainrule::testing
