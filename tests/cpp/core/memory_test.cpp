#include "chainrule/core/memory.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "chainrule/core/error.h"
#include "chainrule/core/storage.h"

namespace chainrule {
namespace {

constexpr std::int64_t kPage = 4096;

// Nothing is kept for reuse where a sanitizer watches, and nothing counted.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kPooled = false;
#else
constexpr bool kPooled = true;
#endif

std::vector<Ref<Storage>> blocks(int count, std::int64_t bytes) {
  std::vector<Ref<Storage>> out;
  for (int i = 0; i < count; ++i) out.push_back(Storage::allocate(bytes, {}));
  return out;
}

std::set<std::uintptr_t> pages_of(const std::vector<Ref<Storage>>& all) {
  std::set<std::uintptr_t> out;
  for (const Ref<Storage>& block : all) {
    const auto begin = reinterpret_cast<std::uintptr_t>(block->data());
    for (auto at = begin; at < begin + block->bytes(); at += 64) out.insert(at / kPage);
  }
  return out;
}

TEST(Memory, SmallBlocksOfOneSizeLieSideBySide) {
  if (!kPooled) GTEST_SKIP() << "no pool under AddressSanitizer";
  std::vector<Ref<Storage>> strangers;
  std::vector<Ref<Storage>> all;
  for (int i = 0; i < 200; ++i) {
    strangers.push_back(Storage::allocate(64 * (i % 40), {}));
    all.push_back(Storage::allocate(1024, {}));
  }
  // 1 KiB and a header each, and the beginning of slabs.
  EXPECT_LE(pages_of(all).size(), 200 * 1088 / kPage + 8);
}

TEST(Memory, BlocksAreAlignedAndApart) {
  std::mt19937 random(1);
  std::vector<Ref<Storage>> held;
  std::vector<unsigned char> marks;
  for (int i = 0; i < 4000; ++i) {
    if (!held.empty() && random() % 3 == 0) {
      const std::size_t k = random() % held.size();
      for (std::int64_t b = 0; b < held[k]->bytes(); ++b) {
        ASSERT_EQ(static_cast<unsigned char>(held[k]->data()[b]), marks[k]);
      }
      std::swap(held[k], held.back());
      std::swap(marks[k], marks.back());
      held.pop_back();
      marks.pop_back();
    } else {
      // All sizes up to twice what lies in slabs, powers of two and their neighbours.
      const std::int64_t power = std::int64_t{1} << random() % 17;
      const std::int64_t bytes = random() % 2 ? power + random() % 3 - 1 : random() % (64 << 10);
      held.push_back(Storage::allocate(bytes, {}));
      marks.push_back(static_cast<unsigned char>(random()));
      ASSERT_EQ(reinterpret_cast<std::uintptr_t>(held.back()->data()) % 64, 0u);
      std::memset(held.back()->data(), marks.back(), static_cast<std::size_t>(bytes));
    }
    if (i % 500 == 0) cpu_memory_release_cached();
  }
}

TEST(Memory, CachedBlocksGoBackToTheSystem) {
  if (!kPooled) GTEST_SKIP() << "no pool under AddressSanitizer";
  cpu_memory_release_cached();
  const std::int64_t before = cpu_memory_info().in_use;
  for (const std::int64_t bytes :
       {std::int64_t{1000}, std::int64_t{20'000}, std::int64_t{1 << 21}}) {
    std::vector<Ref<Storage>> all = blocks(100, bytes);
    EXPECT_GE(cpu_memory_info().in_use, before + 100 * bytes);
    std::memset(all[37]->data(), 42, static_cast<std::size_t>(bytes));
    const Ref<Storage> kept = all[37];
    all.clear();
    EXPECT_GT(cpu_memory_info().cached, 0);
    cpu_memory_release_cached();
    // What shares a slab with the block that is kept stays.
    EXPECT_LE(cpu_memory_info().cached, 256 << 10);
    EXPECT_EQ(kept->data()[bytes - 1], std::byte{42});
  }
  EXPECT_EQ(cpu_memory_info().in_use, before);
  cpu_memory_release_cached();
  const std::int64_t rest = cpu_memory_info().cached;
  std::vector<Ref<Storage>> again = blocks(500, 1000);
  again.clear();
  cpu_memory_release_cached();
  EXPECT_EQ(cpu_memory_info().cached, rest);
}

TEST(Memory, ThreadsAllocateAndReleaseTogether) {
  std::vector<std::thread> threads;
  for (int k = 0; k < 4; ++k) {
    threads.emplace_back([k] {
      std::mt19937 random(static_cast<unsigned>(k));
      for (int round = 0; round < 200; ++round) {
        std::vector<Ref<Storage>> all = blocks(20, random() % 5000 + 1);
        for (const Ref<Storage>& block : all) std::memset(block->data(), k, 1);
        for (const Ref<Storage>& block : all) EXPECT_EQ(block->data()[0], std::byte(k));
        if (round % 50 == 0) cpu_memory_release_cached();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(Memory, TooMuchIsRefused) {
  if (!kPooled) GTEST_SKIP() << "AddressSanitizer ends the process where too much is asked for";
  EXPECT_THROW(Storage::allocate(std::int64_t{1} << 56, {}), OutOfMemoryError);
}

}  // namespace
}  // namespace chainrule
