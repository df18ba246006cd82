#include <gtest/gtest.h>

#include <string>

TEST(Smoke, VersionIsKnown) { EXPECT_FALSE(std::string(CHAINRULE_VERSION).empty()); }
