#include "chainrule/autograd/variable.h"

#include <gtest/gtest.h>

#include "../support.h"
#include "chainrule/autograd/node.h"
#include "chainrule/core/error.h"
#include "chainrule/ops/elementwise.h"

namespace chainrule {
namespace {

TEST(Variable, GradientsMustFitTheData) {
  const Variable x = testing::leaf({1, 2});
  x->set_name("W");
  try {
    x->set_grad(Variable(testing::array({1, 2, 3})));
    FAIL();
  } catch (const ValueError& error) {
    EXPECT_STREQ(error.what(),
                 "[grad] gradient of the wrong shape of 'W': got (3,), expected (2,)");
  }
  EXPECT_THROW(x->set_grad(Variable(testing::array({1, 2}, Dtype::float32))), TypeError);
  EXPECT_FALSE(x->grad().defined());
}

TEST(Variable, RankCountsTheLongestPath) {
  const Variable x = testing::leaf({1});
  EXPECT_EQ(x->rank(), 0);
  const Variable y = multiply(multiply(x, x), x);
  EXPECT_EQ(y->rank(), 2);
  EXPECT_EQ(y->creator()->rank(), 1);
}

TEST(Variable, ANodeOutlivesItsOutput) {
  const Variable x = testing::leaf({2});
  Ref<Node> node;
  {
    const Variable y = multiply(x, x);
    node = y->creator();
    EXPECT_TRUE(node->output_variable(0));
  }
  EXPECT_FALSE(node->output_variable(0));
}

TEST(Variable, LiveCountsReturnToWhereTheyWere) {
  const std::int64_t nodes = live_node_count();
  const std::int64_t variables = live_variable_count();
  {
    const Variable x = testing::leaf({2});
    const Variable y = exp(multiply(x, x));
    EXPECT_EQ(live_node_count(), nodes + 2);
  }
  EXPECT_EQ(live_node_count(), nodes);
  EXPECT_EQ(live_variable_count(), variables);
}

}  // namespace
}  // namespace chainrule
