#include "chainrule/core/array.h"

#include <gtest/gtest.h>

#include <numeric>

#include "../support.h"
#include "chainrule/core/error.h"

namespace chainrule {
namespace {

using testing::values;
using Doubles = std::vector<double>;

Array range(const Shape& shape) {
  Array x(shape, Dtype::float64);
  std::iota(x.data<double>(), x.data<double>() + x.size(), 0.0);
  return x;
}

TEST(Array, TransposedViewsShareMemory) {
  const Array x = range({2, 3});
  const Array y = x.transposed({1, 0});
  EXPECT_EQ(y.raw(), x.raw());
  EXPECT_EQ(y.shape(), (Shape{3, 2}));
  EXPECT_FALSE(y.is_contiguous());
  EXPECT_EQ(values(y), (Doubles{0, 3, 1, 4, 2, 5}));
}

TEST(Array, BroadcastRepeatsWithoutMemory) {
  const Array x = range({2, 1});
  const Array y = x.broadcast_to("op", {3, 2, 2});
  EXPECT_EQ(y.raw(), x.raw());
  EXPECT_EQ(values(y), (Doubles{0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1}));
  EXPECT_THROW(x.broadcast_to("op", {2, 3, 1, 4}), ValueError);
  EXPECT_THROW(x.broadcast_to("op", {1}), ValueError);
  EXPECT_EQ(range({1}).broadcast_to("op", {0}).size(), 0);
}

// Every view that try_reshape gives has the elements in row-major order; where it gives none,
// no strides exist.
TEST(Array, ReshapesWithoutACopyWhereStridesAllowIt) {
  struct Row {
    Array x;
    Shape to;
    bool view;
  };
  const Array base = range({4, 6});
  const Row table[] = {
      {base, {2, 12}, true},
      {base, {2, 2, 3, 2, 1}, true},
      {base.transposed({1, 0}), {24}, false},
      {base.transposed({1, 0}), {2, 3, 4}, true},
      {base.transposed({1, 0}), {6, 1, 2, 2}, true},
      {base.view({4, 3}, {48, 16}), {2, 2, 3}, true},
      {base.view({4, 3}, {48, 16}), {12}, true},
      {base.view({4, 2}, {48, 16}), {8}, false},
      {base.view({2, 6}, {96, 8}), {12}, false},
      {base.view({4, 6}, {-48, 8}, 144), {2, 2, 6}, true},
      {base.view({4, 6}, {-48, -8}, 184), {24}, true},
      {base.view({4, 6}, {0, 8}), {2, 2, 6}, true},
      {base.view({4, 6}, {0, 8}), {24}, false},
      {base.view({1, 1, 1}, {7, 9, 11}), {1}, true},
      {base.view({0, 3}, {5, 1}), {3, 0, 2}, true},
      {base.view({}, {}), {1, 1}, true},
  };
  for (const auto& [x, to, view] : table) {
    const Array y = x.try_reshape(to);
    EXPECT_EQ(y.defined(), view) << x.shape() << " with strides " << x.strides() << " to " << to;
    if (y.defined()) {
      EXPECT_EQ(y.shape(), to);
      EXPECT_EQ(values(y), values(x));
    }
  }
}

TEST(Array, ContiguityLooksAtStridesThatMatter) {
  const Array x = range({2, 3});
  EXPECT_TRUE(x.is_contiguous());
  EXPECT_TRUE(x.view({1, 3}, {999, 8}).is_contiguous());
  EXPECT_TRUE(x.view({0, 3}, {1, 2}).is_contiguous());
  EXPECT_TRUE(x.view({3, 0}, {1, 2}).is_contiguous());
  EXPECT_FALSE(x.view({3}, {16}).is_contiguous());
  EXPECT_FALSE(x.view({2, 2}, {0, 8}).is_contiguous());
}

TEST(Array, SoleOwnersMayBeWrittenInPlace) {
  Array x = range({2});
  EXPECT_TRUE(x.is_sole_owner());
  const Array view = x.view({1}, {8});
  EXPECT_FALSE(x.is_sole_owner());
  EXPECT_FALSE(Array().is_sole_owner());
}

TEST(Array, TooLargeIsAnErrorAndNotACrash) {
  EXPECT_THROW(Array({std::int64_t{1} << 60}, Dtype::float64), Error);
  EXPECT_THROW(Array({-1}, Dtype::float64), ValueError);
}

}  // namespace
}  // namespace chainrule
