#include "chainrule/update/hyperparameter.h"

#include <gtest/gtest.h>

#include "chainrule/core/error.h"

namespace chainrule {
namespace {

double number(const Hyperparameter& h, const char* name) { return h.find(intern(name))->number; }

TEST(Hyperparameter, FallsThroughToTheParent) {
  auto parent = default_hyperparameter(find_algorithm("MomentumSGD"));
  Hyperparameter child(parent, parent->strict());
  EXPECT_EQ(number(child, "lr"), 0.01);
  child.set(intern("lr"), Value::real(10));
  parent->set(intern("lr"), Value::real(0.5));
  parent->set(intern("momentum"), Value::real(0.8));
  EXPECT_EQ(number(child, "lr"), 10);
  EXPECT_EQ(number(child, "momentum"), 0.8);
  EXPECT_TRUE(child.erase(intern("lr")));
  EXPECT_FALSE(child.erase(intern("lr")));
  EXPECT_EQ(number(child, "lr"), 0.5);
}

TEST(Hyperparameter, VersionGrowsWithEveryChangeAboveAndHere) {
  auto parent = default_hyperparameter(find_algorithm("SGD"));
  Hyperparameter child(parent, parent->strict());
  const std::int64_t before = child.version();
  parent->set(intern("lr"), Value::real(1));
  const std::int64_t after = child.version();
  EXPECT_GT(after, before);
  child.set(intern("lr"), Value::real(2));
  EXPECT_GT(child.version(), after);
  child.erase(intern("lr"));
  EXPECT_GT(child.version(), after + 1);
}

TEST(Hyperparameter, AnyChangeIsCounted) {
  Hyperparameter values;
  const std::int64_t before = values_version();
  values.set(intern("lr"), Value::real(1));
  EXPECT_EQ(values_version(), before + 1);
  EXPECT_FALSE(values.erase(intern("momentum")));
  EXPECT_EQ(values_version(), before + 1);
  EXPECT_TRUE(values.erase(intern("lr")));
  EXPECT_EQ(values_version(), before + 2);
}

TEST(Hyperparameter, StrictNames) {
  auto strict = default_hyperparameter(find_algorithm("SGD"));
  try {
    strict->set(intern("lrr"), Value::real(1));
    FAIL() << "a mistyped name was taken";
  } catch (const AttributeError& error) {
    EXPECT_STREQ(error.what(),
                 "[hyperparam] no such hyperparameter of SGD: got 'lrr'; did you "
                 "mean 'lr'? Known: lr");
  }
  strict->erase(intern("lr"));
  EXPECT_EQ(strict->unknown("lr"),
            "[hyperparam] 'lr' of SGD is not set, neither here nor on a parent");
  Hyperparameter free;
  free.set(intern("anything"), Value::real(1));
  EXPECT_EQ(number(free, "anything"), 1);
  EXPECT_EQ(free.find(intern("nothing")), nullptr);
}

TEST(Hyperparameter, ItemsAreMergedFromTheFarthestAncestorOn) {
  auto parent = default_hyperparameter(find_algorithm("MomentumSGD"));
  Hyperparameter child(parent);
  child.set(intern("momentum"), Value::real(0));
  child.set(intern("extra"), Value::real(3));
  std::string seen;
  for (const auto& [name, value] : child.items()) seen += *name + " ";
  EXPECT_EQ(seen, "lr momentum extra ");
  EXPECT_EQ(child.items()[1].second->number, 0);
}

}  // namespace
}  // namespace chainrule
