#include "chainrule/update/weights.h"

#include <gtest/gtest.h>

#include "chainrule/core/error.h"
#include "support.h"

namespace chainrule::testing {
namespace {

TEST(Weights, AveragesAndSlowWeightsMove) {
  const auto param = parameter({4, -8}, {}, Dtype::float16);
  const Array own = array_of({0, 0}, Dtype::float32);
  average_weights({{param, {}, own}}, 0.25);
  EXPECT_EQ(values_of(own), (std::vector<double>{1, -2}));
  look_ahead({{param, {}, own}}, 0.5);
  EXPECT_EQ(values_of(own), (std::vector<double>{2.5, -5}));
  EXPECT_EQ(values_of(param->data()), (std::vector<double>{2.5, -5}));
}

TEST(Weights, AMasterIsWhatCounts) {
  const auto param = parameter({1, 1}, {}, Dtype::float16);
  const auto rule = rule_of("SGD");
  rule->fp32_update = true;
  const Array master = rule->master(param->data());
  fill(master, 1 + 1e-5);
  const Array own = array_of({1, 1}, Dtype::float32);
  look_ahead({{param, rule, own}}, 1);
  EXPECT_EQ(values_of(own), values_of(master));
  EXPECT_NE(values_of(own)[0], 1);
  EXPECT_EQ(values_of(param->data())[0], 1);
}

TEST(Weights, ArraysThatDoNotFitAreRefused) {
  const auto param = parameter({1, 1}, {});
  EXPECT_THROW(average_weights({{param, {}, array_of({1}, Dtype::float32)}}, 1), ValueError);
  EXPECT_THROW(average_weights({{param, {}, array_of({1, 1}, Dtype::float64)}}, 1), TypeError);
  EXPECT_THROW(look_ahead({{param, {}, array_of({1, 1}, Dtype::float16)}}, 1), TypeError);
}

TEST(Perturbation, MovesAlongTheGradientAndBack) {
  const auto a = parameter({1, 1}, {3, 0});
  const auto b = parameter({1}, {4}, Dtype::float64);
  const auto still = parameter({7}, {});
  {
    Perturbation moved({a, b, still}, 10);
    EXPECT_EQ(values_of(a->data()), (std::vector<double>{7, 1}));
    EXPECT_EQ(values_of(b->data()), (std::vector<double>{9}));
    moved.restore();
  }
  EXPECT_EQ(values_of(a->data()), (std::vector<double>{1, 1}));
  EXPECT_EQ(values_of(b->data()), (std::vector<double>{1}));
  a->set_grad(Variable(array_of({0, 0}, Dtype::float32)));
  Perturbation none({a}, 10);
  EXPECT_EQ(values_of(a->data()), (std::vector<double>{1, 1}));
}

TEST(Perturbation, FollowsToOtherMemory) {
  const auto param = parameter({1, 1}, {3, 0});
  const Array before = param->data();
  Perturbation moved({param}, 2);
  param->set_data(array_of({3, 1}, Dtype::float32));
  moved.restore();
  EXPECT_EQ(values_of(before), (std::vector<double>{1, 1}));
  EXPECT_EQ(values_of(param->data()), (std::vector<double>{1, 1}));
  Perturbation gone({param}, 2);
  param->set_data(array_of({3}, Dtype::float32));
  gone.restore();
  EXPECT_EQ(values_of(param->data()), (std::vector<double>{3}));
}

}  // namespace
}  // namespace chainrule::testing
