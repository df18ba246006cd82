#include "chainrule/update/undo.h"

#include <gtest/gtest.h>

#include "update/support.h"

namespace chainrule {
namespace {

using namespace testing;

TEST(Undo, PutsBackContentsAndArrays) {
  const auto param = parameter({1, 2}, {0.5, 0.25});
  const auto rule = rule_of("Adam");
  UpdateTable table;
  table.add(param, rule, "/w", false);
  table.update({});
  const std::vector<double> data = values_of(param->data());
  const std::vector<double> m = values_of(rule->state(0));
  const Array array = param->data();

  Undo undo;
  undo.keep(param, rule, false);
  for (int again = 0; again < 2; ++again) {
    table.update({});
    param->clear_grad();
    param->set_data(array_of({7}, Dtype::float64));
    rule->clear_states();
    undo.restore();
    EXPECT_EQ(param->data().raw(), array.raw());
    EXPECT_EQ(values_of(param->data()), data);
    EXPECT_EQ(values_of(param->grad().array()), (std::vector<double>{0.5, 0.25}));
    EXPECT_EQ(values_of(rule->state(0)), m);
    EXPECT_EQ(rule->t, 1);
  }
}

TEST(Undo, OfTheGradientAloneLeavesTheRest) {
  const auto param = parameter({1}, {0.5});
  const auto rule = rule_of("SGD", {{"lr", 1}});
  Undo undo;
  undo.keep(param, rule, true);
  UpdateTable table;
  table.add(param, rule, "/w", false);
  table.update({});
  param->clear_grad();
  undo.restore();
  EXPECT_EQ(values_of(param->data()), std::vector<double>{0.5});
  EXPECT_EQ(values_of(param->grad().array()), std::vector<double>{0.5});
  EXPECT_EQ(rule->t, 1);
}

// A step in two halves gives what one call gives; the norm is found once, over all rows.
TEST(UpdateTable, HalvesMakeAWhole) {
  const auto make = [](UpdateTable& table, bool by_host) {
    std::vector<Ref<VariableImpl>> params = {parameter({1, 2}, {3, 4}), parameter({5}, {12})};
    table.add(params[0], rule_of("SGD", {{"lr", 1}}), "/a", false);
    table.add(params[1], rule_of("SGD", {{"lr", 1}}), "/b", by_host);
    return params;
  };
  UpdateOptions options;
  options.hooks = {make_ref<GradientHook>(GradientHook::Kind::clip_norm, 1.3)};
  UpdateTable whole, halves;
  const auto expected = make(whole, false);
  whole.update(options);
  const auto found = make(halves, true);
  options.half = UpdateOptions::Half::hosted;
  halves.update(options);
  EXPECT_EQ(values_of(found[0]->data()), (std::vector<double>{1, 2}));
  EXPECT_EQ(values_of(found[0]->grad().array()), (std::vector<double>{3, 4}));
  EXPECT_NEAR(values_of(found[1]->grad().array())[0], 1.2, 1e-6);  // as its rule has to see it
  options.half = UpdateOptions::Half::rest;
  halves.update(options);
  EXPECT_EQ(values_of(found[0]->data()), values_of(expected[0]->data()));
  EXPECT_EQ(values_of(found[1]->data()), std::vector<double>{5});
}

// States that were made for a step that is not taken are gone again.
TEST(UpdateTable, AbandonedStepsLeaveNoState) {
  UpdateTable table;
  const auto rule = rule_of("Adam");
  table.add(parameter({1}, {1}), rule, "/a", false);
  table.prepare({});
  EXPECT_TRUE(rule->has_states());
  table.abandon();
  EXPECT_FALSE(rule->has_states());
  const auto bad = parameter({1}, {1});
  bad->set_data(array_of({1, 2}, Dtype::float32));
  table.add(bad, rule_of("Adam"), "/bad", false);
  EXPECT_THROW(table.prepare({}), ValueError);
  EXPECT_FALSE(rule->has_states());
  EXPECT_EQ(rule->t, 0);
}

}  // namespace
}  // namespace chainrule
