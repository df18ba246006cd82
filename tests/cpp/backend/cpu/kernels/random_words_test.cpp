#include "chainrule/backend/cpu/kernels/random_words.h"

#include <gtest/gtest.h>

namespace chainrule::cpu {
namespace {

using functors::kPhiloxGroup;
using functors::PhiloxKey;

// Against one number at a time, which the published ones are compared with.
template <int rounds>
void check(std::uint64_t group, PhiloxKey key) {
  std::uint32_t words[kPhiloxGroup];
  std::uint32_t expected[kPhiloxGroup];
  random_words<rounds>(group, key, words);
  functors::philox_group<rounds>(group, key, expected);
  for (int i = 0; i < kPhiloxGroup; ++i) EXPECT_EQ(words[i], expected[i]) << group << ", " << i;
}

TEST(RandomWords, AreThoseOfPhilox) {
  for (std::uint64_t group : {std::uint64_t{0}, std::uint64_t{5}, std::uint64_t{1} << 40}) {
    check<10>(group, {0x12345678u, 0x9abcdef0u});
    check<7>(group, {0xffffffffu, 0xffffffffu});
  }
}

}  // namespace
}  // namespace chainrule::cpu
