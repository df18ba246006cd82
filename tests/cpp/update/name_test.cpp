#include "chainrule/update/name.h"

#include <gtest/gtest.h>

namespace chainrule {
namespace {

TEST(Name, OneStringPerSpelling) {
  EXPECT_EQ(intern("lr"), intern(std::string("l") + "r"));
  EXPECT_NE(intern("lr"), intern("lr2"));
  EXPECT_EQ(*intern("momentum"), "momentum");
}

TEST(Name, NearestIsTheFewestEditsAway) {
  const std::vector<std::string> known{"lr", "momentum", "weight_decay_rate"};
  EXPECT_EQ(nearest("lrr", known), "lr");
  EXPECT_EQ(nearest("momentun", known), "momentum");
  EXPECT_EQ(nearest("weight_decay", known), "weight_decay_rate");
  EXPECT_EQ(nearest("quite_another_thing", known), "");
  EXPECT_EQ(nearest("x", {}), "");
}

TEST(Name, SuggestionListsWhatIsKnown) {
  EXPECT_EQ(suggestion("lrr", {"lr", "momentum"}), "; did you mean 'lr'? Known: lr, momentum");
  EXPECT_EQ(suggestion("quite_other", {"lr"}), "; known: lr");
}

}  // namespace
}  // namespace chainrule
