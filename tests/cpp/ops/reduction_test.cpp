#include "chainrule/ops/reduction.h"

#include <gtest/gtest.h>

#include "../support.h"

namespace chainrule::testing {
namespace {

// Many halves are shared among threads, whose results are kept in float32.
TEST(ReductionOps, ExtremaOfManyHalves) {
  for (const Dtype dtype : {Dtype::float16, Dtype::bfloat16}) {
    const Array x = filled({400'000}, dtype, {}, 0.25);
    const Array part = x.view({1}, x.strides(), 333'333 * item_size(dtype));
    fill(part, 0.75);
    EXPECT_EQ(values(max(Variable(x), {}, false)), std::vector<double>{0.75}) << dtype;
    fill(part, -0.75);
    EXPECT_EQ(values(min(Variable(x), {}, false)), std::vector<double>{-0.75}) << dtype;
  }
}

}  // namespace
}  // namespace chainrule::testing
