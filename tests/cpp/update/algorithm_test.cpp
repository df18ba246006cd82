#include "chainrule/update/algorithm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "chainrule/core/error.h"

namespace chainrule {
namespace {

TEST(Algorithm, NamesAreUniqueAndRulesNumberedInOrder) {
  std::set<std::string> names;
  std::int16_t next = 0;
  for (const Algorithm& algorithm : algorithms()) {
    EXPECT_TRUE(names.insert(algorithm.name).second) << algorithm.name;
    EXPECT_EQ(algorithm.fields.size(), algorithm.field_names.size());
    for (const auto& variant : algorithm.variants) EXPECT_EQ(variant.rule, next++);
  }
  EXPECT_EQ(&find_algorithm("Adam"), &find_algorithm("Adam"));
  EXPECT_THROW(find_algorithm("Adan"), KeyError);
}

TEST(Algorithm, EveryCombinationOfAdamsSwitchesHasOneVariant) {
  const Algorithm& adam = find_algorithm("Adam");
  std::set<const Algorithm::Variant*> seen;
  for (double amsgrad : {0.0, 1.0}) {
    for (double adabound : {0.0, 1.0}) {
      double values[kMaxFields] = {0.001, 0.9, 0.999, 1e-8, 1, 0, amsgrad, adabound, 0.1, 1e-3};
      int fitting = 0;
      for (const auto& variant : adam.variants) fitting += variant.selected(values);
      EXPECT_EQ(fitting, 1);
      const auto& variant = adam.variant(values);
      EXPECT_EQ(variant.states.size(), amsgrad != 0 ? 3u : 2u);
      seen.insert(&variant);
    }
  }
  EXPECT_EQ(seen.size(), 4u);
}

TEST(Algorithm, StatesKeepTheirFirstValues) {
  const Algorithm& smorms3 = find_algorithm("SMORMS3");
  ASSERT_EQ(smorms3.find_state("mem"), 0);
  EXPECT_EQ(smorms3.states[0].initial, 1);
  EXPECT_EQ(smorms3.states[1].initial, 0);
  EXPECT_EQ(smorms3.find_state("nothing"), -1);
}

TEST(Powers, AreRememberedAndRight) {
  update::Powers powers;
  for (int round = 0; round < 3; ++round) {
    for (int t = 1; t < 8; ++t) {
      EXPECT_DOUBLE_EQ(powers(0.5, t), std::pow(0.5, t));
      EXPECT_DOUBLE_EQ(powers(0.9, t), std::pow(0.9, t));
      EXPECT_DOUBLE_EQ(powers(0.5, t), std::pow(0.5, t));
    }
  }
}

}  // namespace
}  // namespace chainrule
