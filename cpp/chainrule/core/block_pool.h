#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "chainrule/core/storage.h"

namespace chainrule {

// CPU blocks, kept by size class after their return and handed out again, because the first touch
// of fresh pages costs more than most kernels that run on them. Small blocks of one class lie side
// by side in slabs: an update reads thousands of small arrays one after the other, and wherever
// each starts in a page of its own, looking up the page takes longer than the arithmetic.
//
// Sizes count without the `header` bytes in front of each block's data: data of a power of two
// fills its class.
class BlockPool {
 public:
  explicit BlockPool(std::int64_t header) : header_(header) {}
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  // Aligned to 64 bytes; throws OutOfMemoryError. `bytes` counts the header.
  void* allocate(std::int64_t bytes);
  void release(void* block, std::int64_t bytes);
  // Gives blocks that are not in use back to the system, and slabs of which no block is.
  void release_cached();
  MemoryInfo info();

 private:
  // Held for a few instructions, so that spinning beats sleeping.
  class SpinLock {
   public:
    void lock() {
      while (flag_.test_and_set(std::memory_order_acquire)) {
      }
    }
    void unlock() { flag_.clear(std::memory_order_release); }

   private:
    std::atomic_flag flag_ = ATOMIC_FLAG_INIT;
  };

  struct SizeClass {
    int index;
    std::int64_t bytes;
  };

  struct Class {
    std::vector<std::byte*> free;
    std::vector<std::byte*> slabs;  // of small blocks
    std::int64_t fresh = 0;         // blocks at the end of the last slab, never handed out
  };

  static constexpr int kClassCount = 4 * 48;

  std::int64_t class_bytes(int index) const;
  SizeClass size_class(std::int64_t bytes) const;
  // These return nullptr where there is no memory.
  std::byte* attempt(const SizeClass& cls);
  std::byte* reuse(const SizeClass& cls);
  std::byte* carve(Class& blocks, std::int64_t bytes);
  void release_slabs(Class& blocks, std::int64_t bytes);

  std::int64_t header_;
  SpinLock mutex_;
  Class classes_[kClassCount];
  std::int64_t in_use_ = 0;
  std::int64_t cached_ = 0;
};

}  // namespace chainrule
