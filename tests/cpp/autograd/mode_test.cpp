#include "chainrule/autograd/mode.h"

#include <gtest/gtest.h>

#include <thread>

#include "../support.h"
#include "chainrule/ops/elementwise.h"

namespace chainrule {
namespace {

TEST(Mode, GuardsNestAndRestore) {
  EXPECT_TRUE(backprop_enabled());
  {
    BackpropMode off(false);
    EXPECT_FALSE(backprop_enabled());
    {
      BackpropMode on(true);
      EXPECT_TRUE(backprop_enabled());
    }
    EXPECT_FALSE(backprop_enabled());
  }
  EXPECT_TRUE(backprop_enabled());
}

TEST(Mode, IsThisThreadsAlone) {
  BackpropMode off(false);
  bool elsewhere = false;
  std::thread([&] { elsewhere = backprop_enabled(); }).join();
  EXPECT_TRUE(elsewhere);
}

TEST(Mode, TheGlobalValueHoldsWhereAThreadHasNone) {
  set_backprop_enabled_globally(false);
  EXPECT_FALSE(backprop_enabled());
  set_backprop_enabled(true);
  EXPECT_TRUE(backprop_enabled());
  clear_backprop_enabled();
  EXPECT_FALSE(backprop_enabled());
  set_backprop_enabled_globally(true);
  EXPECT_TRUE(backprop_enabled());
}

TEST(Mode, NothingIsRecordedWhenOff) {
  const Variable x = testing::leaf({1});
  BackpropMode off(false);
  const std::int64_t before = live_node_count();
  const Variable y = multiply(x, x);
  EXPECT_EQ(live_node_count(), before);
  EXPECT_FALSE(y->requires_grad());
}

}  // namespace
}  // namespace chainrule
