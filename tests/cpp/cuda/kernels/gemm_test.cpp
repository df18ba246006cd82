#include "chainrule/backend/gemm.h"

#include <dlfcn.h>

#include <cmath>
#include <cstdlib>
#include <thread>

#include "../../backend/matrices.h"
#include "../../support.h"
#include "../device_test.h"

namespace chainrule::testing {
namespace {

constexpr Dtype kDtypes[] = {Dtype::float16, Dtype::bfloat16, Dtype::float32, Dtype::float64};

// The same view of a copy of the memory.
Array there(const Array& x, Device device = kCuda) {
  const Ref<Storage>& memory = x.storage();
  const std::int64_t bytes = memory->bytes();
  const Array here(memory, memory->data(), {bytes}, {1}, Dtype::uint8);
  const Array copy = to_device(here, device);
  return Array(copy.storage(), copy.raw() + (x.raw() - memory->data()), x.shape(), x.strides(),
               x.dtype());
}

struct Operands {
  Array a, b, c, bias;
  GemmOptions options;
};

void expect_same(const Operands& x) {
  const Array c_there = there(x.c);
  const Array bias_there = x.options.bias ? there(*x.options.bias) : Array();
  GemmOptions options = x.options;
  if (options.bias) options.bias = &bias_there;
  gemm(c_there, there(x.a), there(x.b), options);
  gemm(x.c, x.a, x.b, x.options);
  ASSERT_EQ(values(to_device(c_there, {})), values(x.c))
      << x.c.dtype() << " " << x.a.shape() << (options.transpose_a ? "^T" : "") << " times "
      << x.b.shape() << (options.transpose_b ? "^T" : "") << ", alpha " << options.alpha
      << ", beta " << options.beta << (options.bias ? ", bias" : "");
}

class CudaGemm : public CudaTest {
 protected:
  void SetUp() override {
    CudaTest::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) require_gemm(kCuda);
  }
};

TEST_F(CudaGemm, AgreesWithTheCpu) {
  std::mt19937 engine(1);
  const std::int64_t sizes[] = {0, 1, 2, 3, 5, 8, 17, 33, 64};
  const auto size = [&] { return sizes[engine() % std::size(sizes)]; };
  for (const Dtype dtype : kDtypes) {
    for (int round = 0; round < 150; ++round) {
      const std::int64_t m = size();
      const std::int64_t k = size();
      const std::int64_t n = size();
      const bool ta = engine() % 2;
      const bool tb = engine() % 2;
      Operands x;
      x.options = {.transpose_a = ta, .transpose_b = tb};
      x.a = random_layout(ta ? Shape{k, m} : Shape{m, k}, dtype, engine);
      x.b = random_layout(tb ? Shape{n, k} : Shape{k, n}, dtype, engine);
      x.c = random_layout({m, n}, dtype, engine);
      x.bias = random({n}, dtype, engine);
      if (engine() % 3 == 0) x.options.alpha = 2;
      if (engine() % 3 == 0) x.options.beta = -1;
      if (engine() % 3 == 0) x.options.bias = &x.bias;
      if (x.options.beta == 0) fill(x.c, std::nan(""));  // must not be read
      ASSERT_NO_FATAL_FAILURE(expect_same(x));
    }
  }
}

TEST_F(CudaGemm, BatchesOfAnyStrides) {
  std::mt19937 engine(2);
  const Shape batches[] = {{3}, {4, 2}, {2, 1, 3}, {1}, {0, 2}};
  for (const Dtype dtype : kDtypes) {
    for (int round = 0; round < 80; ++round) {
      const Shape batch = batches[engine() % std::size(batches)];
      // Dimensions left out, or of length one, are repeated.
      const auto part = [&](std::int64_t rows, std::int64_t cols) {
        Shape shape;
        bool begun = engine() % 3 != 0;
        for (std::int64_t length : batch) {
          if (begun) shape.push_back(engine() % 3 ? length : 1);
          begun = begun || engine() % 2;
        }
        shape.push_back(rows);
        shape.push_back(cols);
        return shape;
      };
      Shape full = batch;
      full.push_back(5);
      full.push_back(4);
      Operands x;
      x.a = random_layout(part(5, 7), dtype, engine);
      x.b = random_layout(part(7, 4), dtype, engine);
      x.c = random_layout(full, dtype, engine);
      x.bias = random({4}, dtype, engine);
      if (engine() % 3 == 0) x.options.beta = 2;
      if (engine() % 4 == 0) x.options.bias = &x.bias;
      ASSERT_NO_FATAL_FAILURE(expect_same(x));
    }
  }
}

// Layouts that no random one is: a batch that lies inside its matrices, one that runs backwards,
// one element for all.
TEST_F(CudaGemm, OddLayouts) {
  std::mt19937 engine(3);
  const Array base = random({3, 6, 8}, Dtype::float32, engine);
  const Array other = random({6, 8, 4}, Dtype::float32, engine);
  const Array out = random({3, 6, 4}, Dtype::float32, engine);
  const Array inside = base.transposed({1, 0, 2});  // (6, 3, 8), rows of one batch far apart
  ASSERT_NO_FATAL_FAILURE(expect_same({inside, other, out.transposed({1, 0, 2}), {}, {}}));
  const Strides back{-base.strides()[0], base.strides()[1], base.strides()[2]};
  const Array backwards = base.view(base.shape(), back, 2 * base.strides()[0]);
  const Array one = random({1}, Dtype::float32, engine);
  const Array repeated = one.view({8, 4}, {0, 0});
  ASSERT_NO_FATAL_FAILURE(expect_same({backwards, repeated, out, {}, {}}));
  const Array overlapping = base.view({3, 6, 8}, {24, 4, 4});
  ASSERT_NO_FATAL_FAILURE(expect_same({overlapping, repeated, out, {}, {.beta = 1}}));
}

TEST_F(CudaGemm, ManyInOneBatch) {
  const Array a = filled({70000, 1, 2}, Dtype::float32, kCuda, 3);
  const Array b = filled({2, 1}, Dtype::float32, kCuda, 0.5);
  const Array c({70000, 1, 1}, Dtype::float32, kCuda);
  gemm(c, a, b);
  for (const double x : values(to_device(c, {}))) ASSERT_EQ(x, 3);
}

// In TF32, eleven bits of each factor would be left.
TEST_F(CudaGemm, Float32IsFloat32) {
  const std::int64_t n = emulated_ ? 40 : 500;
  std::mt19937 engine(4);
  std::normal_distribution<double> normal(0, 1);
  Array wide({2, n, n}, Dtype::float64);
  for (std::int64_t i = 0; i < wide.size(); ++i) wide.data<double>()[i] = normal(engine);
  const Array x = as_dtype(wide, Dtype::float32);
  const auto product = [&](const Array& from) {
    const Array out({n, n}, from.dtype(), from.device());
    const auto half = [&](int i) {
      return from.view({n, n}, {from.strides()[1], from.strides()[2]}, i * from.strides()[0]);
    };
    gemm(out, half(0), half(1));
    return values(to_device(out, {}));
  };
  const std::vector<double> exact = product(as_dtype(x, Dtype::float64));
  const std::vector<double> got = product(to_device(x, kCuda));
  double worst = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    worst = std::max(worst, std::abs(exact[i] - got[i]));
  }
  EXPECT_LT(worst, 5e-6 * std::sqrt(static_cast<double>(n)));
}

TEST_F(CudaGemm, TheSameBitsFromRunToRun) {
  std::mt19937 engine(5);
  const std::int64_t n = emulated_ ? 30 : 700;
  const Array a = to_device(random({3, n, n}, Dtype::float32, engine), kCuda);
  const Array c({3, n, n}, Dtype::float32, kCuda);
  gemm(c, a, a, {.alpha = 1 / 3.0});
  const std::vector<double> first = values(to_device(c, {}));
  for (int i = 0; i < 3; ++i) {
    gemm(c, a, a, {.alpha = 1 / 3.0});
    ASSERT_EQ(values(to_device(c, {})), first);
  }
}

TEST_F(CudaGemm, FromManyThreads) {
  std::mt19937 engine(6);
  const Array a = random({20, 20}, Dtype::float32, engine);
  const Array expected({20, 20}, Dtype::float32);
  gemm(expected, a, a);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 10; ++k) {
        const Array here = to_device(a, kCuda);
        const Array c({20, 20}, Dtype::float32, kCuda);
        gemm(c, here, here);
        EXPECT_EQ(values(to_device(c, {})), values(expected));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(CudaGemm, OnTheOtherDevice) {
  if (cuda::device_count() < 2) GTEST_SKIP() << "there is one device";
  std::mt19937 engine(7);
  const Device second{DeviceKind::cuda, 1};
  const Array a = random({5, 5}, Dtype::float64, engine);
  const Array c({5, 5}, Dtype::float64, second);
  gemm(c, to_device(a, second), to_device(a, second));
  const Array expected({5, 5}, Dtype::float64);
  gemm(expected, a, a);
  EXPECT_EQ(values(to_device(c, {})), values(expected));
}

TEST_F(CudaGemm, IntegersAreRefused) {
  const Array a = filled({2, 2}, Dtype::int64, kCuda, 1);
  try {
    gemm(Array({2, 2}, Dtype::int64, kCuda), a, a);
    FAIL();
  } catch (const NotSupportedError& error) {
    EXPECT_NE(std::string(error.what()).find("[gemm] no kernel: got cuda:0 int64, expected one of"),
              std::string::npos)
        << error.what();
  }
}

TEST_F(CudaGemm, SaysWhatMultiplies) {
  const cuda::LibraryState products = cuda::products();
  EXPECT_EQ(products.problem, "");
  EXPECT_NE(products.name.find("cublas.so"), std::string::npos) << products.name;
}

TEST_F(CudaGemm, AProductThatFailsIsReportedByTheNextCopy) {
  if (!emulated_) GTEST_SKIP() << "a real GPU cannot be told to fail";
  const Array a = filled({2, 2}, Dtype::float32, kCuda, 1);
  const Array c({2, 2}, Dtype::float32, kCuda);
  setenv("CHAINRULE_EMULATE", "no_product", 1);
  gemm(c, a, a);
  unsetenv("CHAINRULE_EMULATE");
  try {
    to_device(c, {});
    FAIL();
  } catch (const DeviceError& error) {
    EXPECT_STREQ(error.what(),
                 "[gemm] a product of float32 matrices failed, 2 x 2 times 2 x 2: "
                 "the GPU program failed to execute");
  }
  gemm(c, a, a);
  EXPECT_EQ(values(to_device(c, {})), std::vector<double>(4, 2));
}

// In processes of their own, as the library is looked for once and a handle is made once.
class CudaGemmDeathTest : public CudaTest {
 protected:
  void expect_problem(const char* library, const char* emulate, const char* problem) {
    if (!emulated_) GTEST_SKIP() << "a real GPU cannot be told to fail";
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    const auto look = [&] {
      setenv("CHAINRULE_CUBLAS", library, 1);
      setenv("CHAINRULE_EMULATE", emulate, 1);
      std::string said = "nothing";
      try {
        const Array a = filled({2, 2}, Dtype::float32, kCuda, 1);
        gemm(filled({2, 2}, Dtype::float32, kCuda, 1), a, a);
      } catch (const DeviceError& error) {
        said = error.what();
      }
      std::fprintf(stderr, "%s\n", said.c_str());
      std::exit(0);
    };
    EXPECT_EXIT(look(), ::testing::ExitedWithCode(0), problem);
  }
};

TEST_F(CudaGemmDeathTest, SaysWhereItLooked) {
  expect_problem("/nowhere/libcublas.so", "",
                 "\\[gemm\\] cuBLAS is not here: pip install nvidia-cublas, or set "
                 "CHAINRULE_CUBLAS to libcublas.so; looked for /nowhere/libcublas.so");
}
TEST_F(CudaGemmDeathTest, AnOldOne) {
  expect_problem(CHAINRULE_TEST_PLUGINS "/old_cublas.so", "",
                 "old_cublas.so does not do: got cuBLAS 11.8, expected cuBLAS 12.0 or newer");
}
TEST_F(CudaGemmDeathTest, AnotherLibrary) {
  expect_problem(CHAINRULE_TEST_PLUGINS "/no_symbol.so", "",
                 "no_symbol.so does not do: got a library that names no version of cuBLAS");
}
TEST_F(CudaGemmDeathTest, OneThatDoesNotStart) {
  expect_problem(CHAINRULE_TEST_PLUGINS "/host_cublas.so", "no_handle",
                 "\\[gemm\\] cuBLAS could not be started on cuda:0: the library was not "
                 "initialized");
}

}  // namespace
}  // namespace chainrule::testing
