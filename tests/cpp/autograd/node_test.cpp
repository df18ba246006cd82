#include "chainrule/autograd/node.h"

#include <gtest/gtest.h>

#include "../support.h"
#include "chainrule/autograd/backward.h"

namespace chainrule {
namespace {

using testing::leaf;
using testing::values;

std::vector<Variable> halves(const Variable& x) {
  const Array half = testing::array({0.5 * values(x)[0]});
  return record_many("halves", {half, copied(half)},
                     [](Backward& b) {
                       Array sum =
                           testing::array({0.5 * (values(b.grad(0))[0] + values(b.grad(1))[0])});
                       b.set(0, Variable(sum));
                     },
                     {x});
}

TEST(Node, AnOutputNobodyUsedHasAZeroGradient) {
  const Variable x = leaf({4});
  const auto parts = halves(x);
  backward({parts[1]}, {});
  EXPECT_EQ(testing::grad_of(x), std::vector<double>{0.5});
}

TEST(Node, BothOutputsFlowIntoOneBackward) {
  const Variable x = leaf({4});
  const auto parts = halves(x);
  backward({parts[0], parts[1]}, {});
  EXPECT_EQ(testing::grad_of(x), std::vector<double>{1.0});
}

TEST(Node, CuttingEveryOutputFreesIt) {
  const Variable x = leaf({4});
  const auto parts = halves(x);
  const Ref<Node> node = parts[0]->creator();
  parts[0]->unchain();
  EXPECT_FALSE(node->freed());
  parts[1]->unchain();
  EXPECT_TRUE(node->freed());
  EXPECT_FALSE(parts[0]->creator());
}

TEST(Node, KeepsNothingThatTakesNoPart) {
  const Variable constant(testing::array({1}), false);
  const Variable y = record("constant", testing::array({1}), [](Backward&) {}, constant);
  EXPECT_FALSE(y->creator());
  EXPECT_FALSE(y->requires_grad());
}

}  // namespace
}  // namespace chainrule
