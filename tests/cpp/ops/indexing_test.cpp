#include "chainrule/ops/indexing.h"

#include <gtest/gtest.h>

#include <numeric>

#include "../support.h"
#include "chainrule/autograd/backward.h"
#include "chainrule/core/error.h"
#include "chainrule/ops/elementwise.h"
#include "chainrule/ops/manipulation.h"
#include "chainrule/ops/reduction.h"

namespace chainrule {
namespace {

using testing::grad_of;
using testing::values;
using Doubles = std::vector<double>;

Variable grid() {
  Array x({3, 4}, Dtype::float64);
  std::iota(x.data<double>(), x.data<double>() + x.size(), 0.0);
  return Variable(x, true);
}

IndexItem places(std::initializer_list<double> at) {
  return IndexItem::places(testing::array(at, Dtype::int64));
}

TEST(Indexing, SlicesAreViews) {
  const Variable x = grid();
  const Variable y = get_item(x, {IndexItem::slice(2, {}, -2), IndexItem::slice(1, 3)});
  EXPECT_EQ(y.array().storage(), x.array().storage());
  EXPECT_EQ(y.shape(), (Shape{2, 2}));
  EXPECT_EQ(values(y), (Doubles{9, 10, 1, 2}));
  const Variable z =
      get_item(x, {IndexItem::new_axis(), IndexItem::ellipsis(), IndexItem::integer(-1)});
  EXPECT_EQ(z.shape(), (Shape{1, 3}));
  EXPECT_EQ(values(z), (Doubles{3, 7, 11}));
}

TEST(Indexing, RepeatedPlacesAddUpTheirGradients) {
  const Variable x = grid();
  const Variable y = get_item(x, {places({0, 2, 0}), places({1, 1, 1})});
  EXPECT_EQ(values(y), (Doubles{1, 9, 1}));
  backward({sum(multiply(y, testing::leaf({1, 10, 100})))}, {});
  Doubles expected(12, 0.0);
  expected[1] = 101;
  expected[9] = 10;
  EXPECT_EQ(grad_of(x), expected);
}

TEST(Indexing, PutIsTheInverse) {
  const Variable g = testing::leaf({1, 2});
  const Index index = {places({2, 0})};
  EXPECT_EQ(values(put_item(g, {4}, index)), (Doubles{2, 0, 1, 0}));
  EXPECT_THROW(put_item(g, {4}, {IndexItem::slice(0, 3)}), ValueError);
  EXPECT_THROW(put_item(g, {2}, index), IndexError);
}

TEST(Indexing, EveryIndexIsCheckedBeforeMemoryIsTouched) {
  const Variable x = grid();
  EXPECT_THROW(get_item(x, {IndexItem::integer(3)}), IndexError);
  EXPECT_THROW(get_item(x, {IndexItem::integer(-4)}), IndexError);
  EXPECT_THROW(get_item(x, {places({0, 3})}), IndexError);
  EXPECT_THROW(get_item(x, {IndexItem::places(testing::array({1, 0}, Dtype::bool_))}), IndexError);
  EXPECT_THROW(get_item(x, {IndexItem::places(testing::array({1, 0}))}), IndexError);
  EXPECT_THROW(get_item(x, {places({0, 1}), places({0, 1, 2})}), IndexError);
  EXPECT_THROW(get_item(x, {IndexItem::slice(0, 1, 0)}), ValueError);
  EXPECT_THROW(get_item(x, {IndexItem::ellipsis(), IndexItem::ellipsis()}), IndexError);
}

TEST(Indexing, StepsOfAnyLengthAreSafe) {
  const Variable x = grid();
  constexpr std::int64_t huge = INT64_MAX;
  EXPECT_EQ(values(get_item(x, {IndexItem::integer(0), IndexItem::slice({}, {}, huge)})),
            (Doubles{0}));
  EXPECT_EQ(values(get_item(x, {IndexItem::integer(0), IndexItem::slice({}, {}, INT64_MIN)})),
            (Doubles{3}));
  EXPECT_EQ(get_item(x, {IndexItem::slice(huge, -huge)}).size(), 0);
  EXPECT_EQ(get_item(x, {IndexItem::slice(INT64_MIN, huge)}).size(), 12);
}

}  // namespace
}  // namespace chainrule
