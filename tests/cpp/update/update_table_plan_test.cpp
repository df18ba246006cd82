#include <gtest/gtest.h>

#include "chainrule/update/update_table.h"
#include "update/support.h"

namespace chainrule {
namespace {

using namespace testing;

// Rows are not looked up again while no value was set: only a step that runs rules has looked.
TEST(UpdateTablePlan, ValuesSetBeforeALookAtTheGradientsAreSeen) {
  UpdateTable table;
  auto param = parameter({0}, {1});
  auto rule = rule_of("SGD");
  table.add(param, rule, "/p", false);
  double expected = 0;
  for (const double rate : {1.0, 2.0, 4.0}) {
    rule->hyperparam()->set(intern("lr"), Value::real(rate));
    EXPECT_TRUE(table.nonfinite_gradients(false).empty());
    for (int i = 0; i < 2; ++i) table.update({});
    expected -= 2 * rate;
    EXPECT_EQ(values_of(param->data()), std::vector<double>{expected});
  }
}

}  // namespace
}  // namespace chainrule
