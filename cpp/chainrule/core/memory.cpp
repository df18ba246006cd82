#include "chainrule/core/memory.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

#include "chainrule/core/error.h"
#include "chainrule/core/storage.h"

namespace chainrule {
namespace {

constexpr std::int64_t kAlignment = 64;
constexpr std::int64_t kCacheLimit = std::int64_t{1} << 30;
constexpr int kClassCount = 4 * 48;

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kReuse = false;  // let the sanitizer see every block die
#else
constexpr bool kReuse = true;
#endif

// Loops over several arrays are slower where a load follows a store to the same place in another
// page by a few lines, which the processor takes for the same place at first. Large arrays of NumPy
// and PyTorch start in the first lines of a page, ours in the middle.
constexpr std::int64_t kLarge = std::int64_t{1} << 20;
constexpr std::int64_t kPage = 4096;

void* system_allocate(std::int64_t bytes) {
  if (bytes < kLarge) return std::aligned_alloc(kAlignment, static_cast<std::size_t>(bytes));
  // A multiple of the alignment, as aligned_alloc asks for.
  const std::int64_t whole = (bytes + kPage / 2 + kPage - 1) / kPage * kPage;
  void* block = std::aligned_alloc(kPage, static_cast<std::size_t>(whole));
  return block ? static_cast<std::byte*>(block) + kPage / 2 : nullptr;
}

void system_free(void* block, std::int64_t bytes) {
  std::free(bytes < kLarge ? block : static_cast<std::byte*>(block) - kPage / 2);
}

// Four classes per power of two: at most a quarter of a block is unused.
struct SizeClass {
  int index;
  std::int64_t bytes;
};

std::int64_t class_bytes(int index) {
  if (index <= 4) return index * kAlignment;
  const int shift = (index - 5) / 4;
  const std::int64_t quarter = (index - 5) % 4 + 4;
  return ((quarter + 1) << shift) * kAlignment;
}

SizeClass size_class(std::int64_t bytes) {
  const std::uint64_t units = static_cast<std::uint64_t>((bytes + kAlignment - 1) / kAlignment);
  if (units <= 4) return {static_cast<int>(units), static_cast<std::int64_t>(units) * kAlignment};
  const int shift = std::bit_width(units - 1) - 3;
  const std::uint64_t quarter = (units - 1) >> shift;  // 4..7
  const int index = 5 + 4 * shift + static_cast<int>(quarter - 4);
  return {index, class_bytes(index)};
}

class Pool {
 public:
  void* allocate(std::int64_t bytes) {
    const SizeClass cls = size_class(bytes);
    if (kReuse) {
      std::lock_guard lock(mutex_);
      in_use_ += cls.bytes;
      auto& list = free_[cls.index];
      if (!list.empty()) {
        void* block = list.back();
        list.pop_back();
        cached_ -= cls.bytes;
        return block;
      }
    }
    void* block = system_allocate(cls.bytes);
    if (!block) {
      release_cached();
      block = system_allocate(cls.bytes);
    }
    if (!block) {
      throw OutOfMemoryError(cat("[memory] out of memory: ", bytes, " bytes asked for"));
    }
    return block;
  }

  void release(void* block, std::int64_t bytes) {
    const SizeClass cls = size_class(bytes);
    if (kReuse) {
      std::lock_guard lock(mutex_);
      in_use_ -= cls.bytes;
      if (cached_ + cls.bytes <= kCacheLimit) {
        free_[cls.index].push_back(block);
        cached_ += cls.bytes;
        return;
      }
    }
    system_free(block, cls.bytes);
  }

  void release_cached() {
    std::lock_guard lock(mutex_);
    for (auto& list : free_) {
      const std::int64_t bytes = class_bytes(static_cast<int>(&list - free_));
      for (void* block : list) system_free(block, bytes);
      list.clear();
    }
    cached_ = 0;
  }

  MemoryInfo info() {
    std::lock_guard lock(mutex_);
    return {in_use_, cached_};
  }

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

  SpinLock mutex_;
  std::vector<void*> free_[kClassCount];
  std::int64_t in_use_ = 0;
  std::int64_t cached_ = 0;
};

// Never destroyed: arrays may outlive every static object at the end of the process.
Pool& pool() {
  static Pool* pool = new Pool;
  return *pool;
}

void* cpu_allocate(std::int64_t bytes, int) { return pool().allocate(bytes); }
void cpu_release(void* data, std::int64_t bytes, int) { pool().release(data, bytes); }
void cpu_copy(void* to, Device, const void* from, Device, std::int64_t bytes) {
  std::memcpy(to, from, static_cast<std::size_t>(bytes));
}

struct Registry {
  DeviceMemory memory[kDeviceKindCount];
  std::atomic<bool> present[kDeviceKindCount];
  DeviceProvider provider;
};

Registry& registry() {
  static Registry registry{{{cpu_allocate, cpu_release, cpu_copy}, {}}, {true, false}, nullptr};
  return registry;
}

}  // namespace

void* cpu_block_allocate(std::int64_t bytes) { return pool().allocate(bytes); }
void cpu_block_release(void* block, std::int64_t bytes) { pool().release(block, bytes); }

MemoryInfo cpu_memory_info() { return pool().info(); }
void cpu_memory_release_cached() { pool().release_cached(); }

void register_device_memory(DeviceKind kind, const DeviceMemory& memory) {
  registry().memory[static_cast<int>(kind)] = memory;
  registry().present[static_cast<int>(kind)] = true;
}

void set_device_provider(DeviceProvider provider) { registry().provider = provider; }

const DeviceMemory& device_memory(DeviceKind kind) {
  const Registry& all = registry();
  const int i = static_cast<int>(kind);
  if (!all.present[i] && all.provider) all.provider(kind);
  if (!all.present[i]) {
    throw DeviceError(
        cat("[device] nothing provides this kind: got ", Device{kind, 0}, ", expected cpu"));
  }
  return all.memory[i];
}

}  // namespace chainrule
