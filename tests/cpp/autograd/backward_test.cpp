#include "chainrule/autograd/backward.h"

#include <gtest/gtest.h>

#include <cmath>

#include "../support.h"
#include "chainrule/core/error.h"
#include "chainrule/ops/elementwise.h"
#include "chainrule/ops/reduction.h"

namespace chainrule {
namespace {

using testing::grad_of;
using testing::leaf;
using testing::values;
using Doubles = std::vector<double>;

class BackwardTest : public ::testing::Test {
 protected:
  void SetUp() override { nodes_before_ = live_node_count(); }
  void TearDown() override { EXPECT_EQ(live_node_count(), nodes_before_); }

 private:
  std::int64_t nodes_before_ = 0;
};

TEST_F(BackwardTest, SumsOverEveryUse) {
  const Variable x = leaf({2});
  const Variable y = add(multiply(x, x), x);
  backward({y}, {});
  EXPECT_EQ(grad_of(x), Doubles{5});
}

// The gradient of a sum shows one number many times: nothing may be added into it in place.
TEST_F(BackwardTest, SumsGradientsThatRepeatMemory) {
  const Variable x = leaf({1, 2, 3});
  backward({multiply(sum(x), sum(multiply(x, x)))}, {});
  EXPECT_EQ(grad_of(x), (Doubles{26, 38, 50}));
  const Variable y = leaf({1, 2, 3});
  backward({multiply(sum(multiply(y, y)), sum(y))}, {});
  EXPECT_EQ(grad_of(y), (Doubles{26, 38, 50}));
}

TEST_F(BackwardTest, AddsToAGradientThatIsThere) {
  const Variable x = leaf({3});
  backward({multiply(x, x)}, {});
  backward({multiply(x, x)}, {});
  EXPECT_EQ(grad_of(x), Doubles{12});
}

TEST_F(BackwardTest, AGradientOneUserHoldsIsNotWrittenInto) {
  const Variable x = leaf({3});
  backward({multiply(x, x)}, {});
  const Array held = x->grad().array();
  backward({multiply(x, x)}, {});
  EXPECT_EQ(values(held), Doubles{6});
}

TEST_F(BackwardTest, RunsAgainOnTheSameGraph) {
  const Variable x = leaf({3});
  const Variable y = multiply(x, x);
  backward({y}, {});
  backward({y}, {});
  EXPECT_EQ(grad_of(x), Doubles{12});
}

TEST_F(BackwardTest, DropsIntermediateGradientsUnlessAsked) {
  const Variable x = leaf({3});
  const Variable h = multiply(x, x);
  const Variable y = multiply(h, h);
  backward({y}, {});
  EXPECT_FALSE(h->grad().defined());
  EXPECT_FALSE(y->grad().defined());
  x->clear_grad();
  backward({y}, {.retain_grad = true});
  EXPECT_EQ(grad_of(h), Doubles{18});
  EXPECT_EQ(grad_of(y), Doubles{1});
}

TEST_F(BackwardTest, StartsFromTheLossScale) {
  const Variable x = leaf({3});
  backward({multiply(x, x)}, {.loss_scale = 8});
  EXPECT_EQ(grad_of(x), Doubles{48});
}

TEST_F(BackwardTest, DifferentiatesGradients) {
  const Variable x = leaf({2});
  const Variable y = multiply(multiply(x, x), x);
  const Variable first = grad({y}, {x}, {}, {}, {.enable_double_backprop = true})[0];
  const Variable second = grad({first}, {x}, {}, {}, {.enable_double_backprop = true})[0];
  const Variable third = grad({second}, {x}, {}, {}, {})[0];
  EXPECT_EQ(values(first), Doubles{12});
  EXPECT_EQ(values(second), Doubles{12});
  EXPECT_EQ(values(third), Doubles{6});
}

TEST_F(BackwardTest, HigherDerivativesOfAFunctorEndWithAnError) {
  const Variable x = leaf({0.3});
  Variable y = tanh(x);
  for (int order = 1; order <= 3; ++order) {
    y = grad({y}, {x}, {}, {}, {.enable_double_backprop = true})[0];
  }
  // d^3 tanh = -2 (1 - t^2)(1 - 3 t^2)
  const double t = std::tanh(0.3);
  EXPECT_NEAR(values(y)[0], -2 * (1 - t * t) * (1 - 3 * t * t), 1e-12);
  EXPECT_THROW(grad({y}, {x}, {}, {}, {}), NotSupportedError);
}

TEST_F(BackwardTest, GradLeavesGradientsAlone) {
  const Variable x = leaf({2});
  const Variable w = leaf({5});
  const Variable h = multiply(x, w);
  const Variable y = multiply(h, h);
  const auto result = grad({y}, {h, w}, {}, {}, {});
  EXPECT_EQ(values(result[0]), Doubles{20});
  EXPECT_EQ(values(result[1]), Doubles{40});
  EXPECT_FALSE(x->grad().defined());
  EXPECT_FALSE(w->grad().defined());
}

TEST_F(BackwardTest, GradIsUndefinedWithoutAPath) {
  const Variable x = leaf({2});
  const Variable other = leaf({2});
  EXPECT_FALSE(grad({multiply(x, x)}, {other}, {}, {}, {})[0].defined());
}

TEST_F(BackwardTest, WithoutAGraphSaysSo) {
  const Variable x = leaf({2});
  EXPECT_THROW(backward({x}, {}), Error);
  BackpropMode off(false);
  EXPECT_THROW(backward({multiply(x, x)}, {}), Error);
}

TEST_F(BackwardTest, AFreedGraphSaysSo) {
  const Variable x = leaf({2});
  const Variable y = multiply(x, x);
  unchain_backward(y);
  EXPECT_THROW(backward({y}, {}), Error);
  EXPECT_EQ(values(y), Doubles{4});
}

TEST_F(BackwardTest, UnchainingEndsTheGradientThere) {
  const Variable x = leaf({2});
  const Variable h = multiply(x, x);
  const Variable y = multiply(h, h);
  h->unchain();
  backward({y}, {});
  EXPECT_FALSE(x->grad().defined());
  const Variable z = multiply(h, h);
  backward({z}, {});
  EXPECT_EQ(grad_of(h), Doubles{8});
}

TEST_F(BackwardTest, SeveralElementsNeedAStart) {
  const Variable x = leaf({1, 2});
  const Variable y = multiply(x, x);
  EXPECT_THROW(backward({y}, {}), ValueError);
  y->set_grad(Variable(testing::array({1, 10})));
  backward({y}, {});
  EXPECT_EQ(grad_of(x), (Doubles{2, 40}));
}

TEST_F(BackwardTest, AFailingNodeChangesNoGradient) {
  const Variable x = leaf({2});
  const Variable broken =
      record("broken", testing::array({1}), [](Backward&) { throw ValueError("broken"); }, x);
  const Variable y = add(multiply(x, x), broken);
  EXPECT_THROW(backward({y}, {}), ValueError);
  EXPECT_FALSE(x->grad().defined());
}

TEST_F(BackwardTest, AWrongGradientIsNamed) {
  const Variable x = leaf({2});
  const Variable y = record(
      "odd", testing::array({1}), [](Backward& b) { b.set(0, Variable(testing::array({1, 2}))); },
      x);
  try {
    backward({y}, {});
    FAIL();
  } catch (const ValueError& error) {
    EXPECT_NE(std::string(error.what()).find("[odd]"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("got (2,), expected (1,)"), std::string::npos);
  }
}

TEST_F(BackwardTest, FrozenVariablesAreLeftOut) {
  const Variable x = leaf({2});
  const Variable w = leaf({3});
  w->set_frozen(true);
  backward({multiply(x, w)}, {});
  EXPECT_EQ(grad_of(x), Doubles{3});
  EXPECT_FALSE(w->grad().defined());
}

TEST_F(BackwardTest, AMillionNodes) {
  const Variable x = leaf({1});
  Variable y = x;
  for (int i = 0; i < 1'000'000; ++i) y = add(y, x);
  backward({y}, {});
  EXPECT_EQ(grad_of(x), Doubles{1'000'001});
}

TEST_F(BackwardTest, ReplacedDataDoNotChangeWhatWasRecorded) {
  const Variable x = leaf({3});
  const Variable y = multiply(x, x);
  x->set_data(testing::array({100}));
  backward({y}, {});
  EXPECT_EQ(grad_of(x), Doubles{6});
  EXPECT_THROW(grad({y}, {x}, {}, {}, {.enable_double_backprop = true}), Error);
}

}  // namespace
}  // namespace chainrule
