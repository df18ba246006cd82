#include "chainrule/ops/manipulation.h"

#include <gtest/gtest.h>

#include "../support.h"
#include "chainrule/autograd/backward.h"
#include "chainrule/core/error.h"
#include "chainrule/ops/elementwise.h"
#include "chainrule/ops/reduction.h"

namespace chainrule {
namespace {

using testing::grad_of;
using testing::leaf;
using testing::values;
using Doubles = std::vector<double>;

TEST(Manipulation, SplitPartsThatNobodyUsesGetZeros) {
  const Variable x = leaf({1, 2, 3, 4, 5});
  const auto parts = split_axis(x, {1, 3}, 0);
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(values(parts[1]), (Doubles{2, 3}));
  backward({sum(square(parts[1]))}, {});
  EXPECT_EQ(grad_of(x), (Doubles{0, 4, 6, 0, 0}));
}

TEST(Manipulation, OverlappingSplitsAddUp) {
  const Variable x = leaf({1, 2, 3, 4});
  const auto parts = split_axis(x, {3, 1}, 0);
  EXPECT_EQ(values(parts[0]), (Doubles{1, 2, 3}));
  EXPECT_EQ(parts[1].size(), 0);
  EXPECT_EQ(values(parts[2]), (Doubles{2, 3, 4}));
  backward({add(sum(parts[0]), sum(parts[2]))}, {});
  EXPECT_EQ(grad_of(x), (Doubles{1, 2, 2, 1}));
}

TEST(Manipulation, ConcatOfOneVariableTwice) {
  const Variable x = leaf({1, 2});
  const Variable y = concat({x, x}, 0);
  backward({sum(multiply(y, leaf({1, 2, 3, 4})))}, {});
  EXPECT_EQ(grad_of(x), (Doubles{4, 6}));
}

TEST(Manipulation, ConcatPromotes) {
  const Variable y = concat({Variable(testing::array({1}, Dtype::int8)), leaf({0.5})}, 0);
  EXPECT_EQ(y.dtype(), Dtype::float64);
  EXPECT_EQ(values(y), (Doubles{1, 0.5}));
}

TEST(Manipulation, ReshapeOfAViewThatNeedsACopy) {
  const Variable x(leaf({0, 1, 2, 3, 4, 5}));
  const Variable y = reshape(transpose(reshape(x, {2, 3})), {6});
  EXPECT_EQ(values(y), (Doubles{0, 3, 1, 4, 2, 5}));
  backward({sum(multiply(y, leaf({1, 2, 3, 4, 5, 6})))}, {});
  EXPECT_EQ(grad_of(x), (Doubles{1, 3, 5, 2, 4, 6}));
}

TEST(Manipulation, RefusesWhatIsNoPermutation) {
  const Variable x = reshape(leaf({1, 2}), {1, 2});
  EXPECT_THROW(transpose(x, {0, 0}), ValueError);
  EXPECT_THROW(transpose(x, {0}), ValueError);
  EXPECT_THROW(transpose(x, {0, 2}), IndexError);
  EXPECT_THROW(moveaxis(x, {0, 0}, {0, 1}), ValueError);
  EXPECT_THROW(concat({}, 0), ValueError);
  EXPECT_THROW(concat({Variable()}, 0), TypeError);
  EXPECT_THROW(concat({sum(x)}, 0), ValueError);
}

}  // namespace
}  // namespace chainrule
