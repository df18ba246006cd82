#include "chainrule/functors/philox.h"

#include <gtest/gtest.h>

namespace chainrule::functors {
namespace {

// From the known-answer tests published with Random123.
TEST(Philox, GivesThePublishedNumbers) {
  std::uint32_t c[4] = {0, 0, 0, 0};
  philox4x32(c[0], c[1], c[2], c[3], {0, 0});
  EXPECT_EQ(c[0], 0x6627e8d5u);
  EXPECT_EQ(c[1], 0xe169c58du);
  EXPECT_EQ(c[2], 0xbc57ac4cu);
  EXPECT_EQ(c[3], 0x9b00dbd8u);

  std::uint32_t pi[4] = {0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u};
  philox4x32(pi[0], pi[1], pi[2], pi[3], {0xa4093822u, 0x299f31d0u});
  EXPECT_EQ(pi[0], 0xd16cfe09u);
  EXPECT_EQ(pi[1], 0x94fdcceBu);
  EXPECT_EQ(pi[2], 0x5001e420u);
  EXPECT_EQ(pi[3], 0x24126ea1u);
}

TEST(Philox, GroupsAndSinglePositionsAgree) {
  const PhiloxKey key{0x12345678u, 0x9abcdef0u};
  std::uint32_t words[kPhiloxGroup];
  for (std::uint64_t group : {std::uint64_t{0}, std::uint64_t{5}, std::uint64_t{1} << 40}) {
    philox_group(group, key, words);
    for (int i = 0; i < kPhiloxGroup; ++i) {
      EXPECT_EQ(words[i], philox_at(group * kPhiloxGroup + static_cast<std::uint64_t>(i), key));
    }
  }
}

TEST(Philox, AColumnHasTheWordsSixteenPlacesApart) {
  const PhiloxKey key{0x12345678u, 0x9abcdef0u};
  for (std::uint64_t position :
       {std::uint64_t{3}, std::uint64_t{64 * 7 + 15}, std::uint64_t{1} << 41}) {
    std::uint32_t words[4];
    philox_column(position, key, words);
    for (std::uint64_t k = 0; k < 4; ++k) {
      EXPECT_EQ(words[k], philox_at(position + k * kPhiloxCounters, key)) << position << " " << k;
    }
  }
}

}  // namespace
}  // namespace chainrule::functors
