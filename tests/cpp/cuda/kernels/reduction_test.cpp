#include "chainrule/backend/reduction.h"

#include <cmath>

#include "chainrule/functors/reduction.h"
#include "compare.h"

namespace chainrule::testing {
namespace {

class CudaReduction : public CudaTest {};

struct Reduction {
  Shape shape;
  Axes order;  // how the dimensions lie in memory
  Axes axes;
};

std::vector<Reduction> reductions() {
  return {
      {{1}, {0}, {0}},
      {{5000}, {0}, {0}},
      {{200000}, {0}, {0}},       // in chunks
      {{3, 700}, {0, 1}, {1}},    // rows
      {{700, 33}, {0, 1}, {0}},   // columns
      {{3000, 70}, {0, 1}, {0}},  // columns in chunks
      {{70, 33}, {1, 0}, {0}},    // a transposed matrix
      {{70, 33}, {1, 0}, {1}},
      {{70, 33}, {0, 1}, {0, 1}},
      {{4, 5, 6, 7}, {0, 1, 2, 3}, {1, 3}},
      {{4, 5, 6, 7}, {2, 0, 3, 1}, {0, 2}},
      {{4, 5, 6, 7}, {3, 1, 0, 2}, {}},
      {{3, 0, 2}, {0, 1, 2}, {1}},  // sums of nothing
      {{3, 0, 2}, {0, 1, 2}, {0}},
  };
}

Array laid_out(const Array& stored, const Axes& order) {
  Axes back = order;
  for (int i = 0; i < order.size(); ++i) back[static_cast<int>(order[i])] = i;
  return stored.transposed(back);
}

void expect_reduced(const char* name, Dtype dtype, Dtype result) {
  const auto* kernel = static_cast<const ReductionKernel*>(KernelBase::find(name));
  ASSERT_NE(kernel, nullptr);
  ASSERT_TRUE(kernel->has(DeviceKind::cuda, static_cast<int>(dtype))) << name << " " << dtype;
  const bool sums = std::string(name) == "sum";
  const Dtype wide = !is_floating(result) ? Dtype::int64
                     : sums               ? Dtype::float64
                                          : compute_dtype(dtype);
  std::mt19937 engine(1);
  for (const Reduction& r : reductions()) {
    Shape stored;
    for (const std::int64_t axis : r.order) stored.push_back(r.shape[static_cast<int>(axis)]);
    Array base = random_base(stored, dtype, engine);
    if (sums && is_floating(dtype)) {  // finite ones
      Array finite(stored, Dtype::float64);
      for (std::int64_t i = 0; i < finite.size(); ++i) {
        finite.data<double>()[i] = static_cast<double>(engine() % 2000) / 1000 - 0.7;
      }
      base = as_dtype(finite, dtype);
    }
    Shape kept;
    for (int i = 0, k = 0; i < r.shape.size(); ++i) {
      if (k < r.axes.size() && r.axes[k] == i) {
        ++k;
      } else {
        kept.push_back(r.shape[i]);
      }
    }
    const ReductionOptions options{sums && is_floating(dtype) ? 3.0 : 1.0, wide};
    const Array here(kept, result);
    const Array there(kept, result, kCuda);
    run_reduction(*kernel, here, laid_out(base, r.order), r.axes, options);
    run_reduction(*kernel, there, laid_out(to_device(base, kCuda), r.order), r.axes, options);
    const std::vector<double> a = values(here);
    const std::vector<double> b = values(to_device(there, {}));
    for (std::size_t i = 0; i < a.size(); ++i) {
      const double room =
          sums && is_floating(dtype) ? 2 * rounding(dtype) * std::max(1.0, std::abs(a[i])) : 0;
      ASSERT_TRUE(a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i])) ||
                  std::abs(a[i] - b[i]) <= room)
          << name << " of " << dtype << " " << r.shape << " over " << r.axes << ": cpu " << a[i]
          << ", cuda " << b[i];
    }
  }
}

TEST_F(CudaReduction, AgreesWithTheCpu) {
  functors::for_each_reduction([]<class Op, class T>() {
    constexpr Dtype dtype = dtype_of<T>;
    expect_reduced(Op::name, dtype, is_floating(dtype) ? dtype : Dtype::int64);
  });
}

TEST_F(CudaReduction, NotANumberWins) {
  for (const char* name : {"max", "min", "sum"}) {
    Array x({300, 4}, Dtype::float32);
    fill(x, 1);
    x.data<float>()[4 * 137 + 2] = NAN;
    const Array out({4}, Dtype::float32, kCuda);
    const auto* kernel = static_cast<const ReductionKernel*>(KernelBase::find(name));
    run_reduction(*kernel, out, to_device(x, kCuda), {0}, {});
    const std::vector<double> found = values(to_device(out, {}));
    for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(std::isnan(found[i]), i == 2) << name;
  }
}

// Ten million times 0.1 are summed in double.
TEST_F(CudaReduction, ManyAddendsLoseNothing) {
  const std::int64_t n = emulated_ ? 300'000 : 10'000'000;
  const Array x = filled({n}, Dtype::float32, kCuda, 0.1);
  const Array out({}, Dtype::float32, kCuda);
  const auto* kernel = static_cast<const ReductionKernel*>(KernelBase::find("sum"));
  run_reduction(*kernel, out, x, {0}, {});
  const double exact = static_cast<double>(0.1f) * static_cast<double>(n);
  EXPECT_NEAR(values(to_device(out, {}))[0] / exact, 1, 1e-7);
}

}  // namespace
}  // namespace chainrule::testing
