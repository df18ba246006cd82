#include "chainrule/backend/normalize.h"

#include <cmath>
#include <limits>

#include "../../support.h"
#include "../../update/support.h"
#include "../device_test.h"

namespace chainrule::testing {
namespace {

class CudaNormalize : public CudaTest {};

Array shaped(const std::vector<double>& values, const Shape& shape, Dtype dtype) {
  const Array flat = array_of(values, dtype);
  return flat.view(shape, contiguous_strides(shape, item_size(dtype)));
}

TEST_F(CudaNormalize, DividesByTheNormOrEps) {
  // The second array has a norm of zero; sizes below and above a segment.
  for (const std::int64_t size : {std::int64_t{1}, std::int64_t{700}, std::int64_t{20000}}) {
    const Shape shape{3, size};
    std::vector<double> numbers = noise(element_count(shape), 3);
    for (std::int64_t i = 0; i < size; ++i) numbers[static_cast<std::size_t>(size + i)] = 0;
    for (const Dtype from : {Dtype::float32, Dtype::float64}) {
      for (const Dtype to : {Dtype::float32, Dtype::float64, Dtype::float16, Dtype::bfloat16}) {
        const Array x = shaped(numbers, shape, from);
        const Array out(shape, to, kCuda);
        normalize(out, to_device(x, kCuda), 1e-3);
        const std::vector<double> exact = values(x);
        const std::vector<double> found = values(to_device(out, {}));
        for (std::int64_t k = 0; k < 3; ++k) {
          double norm = 0;
          for (std::int64_t i = 0; i < size; ++i) {
            norm += std::pow(exact[static_cast<std::size_t>(k * size + i)], 2);
          }
          norm = std::max(std::sqrt(norm), 1e-3);
          const double rounding = to == Dtype::bfloat16  ? 0x1p-8
                                  : to == Dtype::float16 ? 0x1p-11
                                                         : 1e-6;
          for (std::int64_t i = 0; i < size; ++i) {
            const auto at = static_cast<std::size_t>(k * size + i);
            const double wanted = exact[at] / norm;
            ASSERT_NEAR(found[at], wanted, rounding * std::abs(wanted) + 1e-7)
                << from << " to " << to << ", array " << k << ", element " << i;
          }
        }
      }
    }
  }
}

TEST_F(CudaNormalize, NotANumberStaysInItsArray) {
  const Shape shape{2, 3};
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Array x = shaped({1, nan, 2, 3, 4, 0}, shape, Dtype::float32);
  const Array out(shape, Dtype::float32, kCuda);
  normalize(out, to_device(x, kCuda), 1e-7);
  const std::vector<double> found = values(to_device(out, {}));
  for (std::size_t i = 0; i < 3; ++i) EXPECT_TRUE(std::isnan(found[i]));
  EXPECT_FLOAT_EQ(static_cast<float>(found[4]), 0.8f);
}

TEST_F(CudaNormalize, IsForDevicesThatHideTheirNumbers) {
  EXPECT_TRUE(has_normalize(kCuda, Dtype::float32));
  EXPECT_FALSE(has_normalize({}, Dtype::float32));
}

}  // namespace
}  // namespace chainrule::testing
