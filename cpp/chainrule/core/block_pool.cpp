#include "chainrule/core/block_pool.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <mutex>

#include "chainrule/core/error.h"

namespace chainrule {
namespace {

constexpr std::int64_t kAlignment = 64;
constexpr std::int64_t kCacheLimit = std::int64_t{1} << 30;

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kReuse = false;  // let the sanitizer see every block die
#else
constexpr bool kReuse = true;
#endif

constexpr std::int64_t kSmall = std::int64_t{32} << 10;
constexpr std::int64_t kSlab = std::int64_t{256} << 10;

// Loops over several arrays are slower where a load follows a store to the same place in another
// page by a few lines, which the processor takes for the same place at first. Large arrays of NumPy
// and PyTorch start in the first lines of a page, ours in the middle.
constexpr std::int64_t kLarge = std::int64_t{1} << 20;
constexpr std::int64_t kPage = 4096;

bool small(std::int64_t class_bytes) { return kReuse && class_bytes <= kSmall; }
std::int64_t blocks_in_slab(std::int64_t class_bytes) { return kSlab / class_bytes; }

std::byte* system_allocate(std::int64_t bytes) {
  if (bytes < kLarge) {
    return static_cast<std::byte*>(std::aligned_alloc(kAlignment, static_cast<std::size_t>(bytes)));
  }
  // A multiple of the alignment, as aligned_alloc asks for.
  const std::int64_t whole = (bytes + kPage / 2 + kPage - 1) / kPage * kPage;
  void* block = std::aligned_alloc(kPage, static_cast<std::size_t>(whole));
  return block ? static_cast<std::byte*>(block) + kPage / 2 : nullptr;
}

void system_free(std::byte* block, std::int64_t bytes) {
  std::free(bytes < kLarge ? block : block - kPage / 2);
}

}  // namespace

// Four classes per power of two: at most a quarter of a block is unused.
std::int64_t BlockPool::class_bytes(int index) const {
  if (index <= 4) return header_ + index * kAlignment;
  const int shift = (index - 5) / 4;
  const std::int64_t quarter = (index - 5) % 4 + 4;
  return header_ + ((quarter + 1) << shift) * kAlignment;
}

BlockPool::SizeClass BlockPool::size_class(std::int64_t bytes) const {
  const auto units = static_cast<std::uint64_t>((bytes - header_ + kAlignment - 1) / kAlignment);
  int index = static_cast<int>(units);
  if (units > 4) {
    const int shift = std::bit_width(units - 1) - 3;
    const std::uint64_t quarter = (units - 1) >> shift;  // 4..7
    index = 5 + 4 * shift + static_cast<int>(quarter - 4);
  }
  return {index, class_bytes(index)};
}

std::byte* BlockPool::carve(Class& blocks, std::int64_t bytes) {
  if (blocks.fresh == 0) {
    std::byte* slab = system_allocate(kSlab);
    if (!slab) return nullptr;
    blocks.slabs.push_back(slab);
    blocks.fresh = blocks_in_slab(bytes);
  }
  return blocks.slabs.back() + (blocks_in_slab(bytes) - blocks.fresh--) * bytes;
}

std::byte* BlockPool::reuse(const SizeClass& cls) {
  if (!kReuse) return nullptr;
  std::lock_guard lock(mutex_);
  Class& blocks = classes_[cls.index];
  std::byte* block = nullptr;
  if (!blocks.free.empty()) {
    block = blocks.free.back();
    blocks.free.pop_back();
    cached_ -= cls.bytes;
  } else if (small(cls.bytes)) {
    block = carve(blocks, cls.bytes);
  }
  if (block) in_use_ += cls.bytes;
  return block;
}

std::byte* BlockPool::attempt(const SizeClass& cls) {
  std::byte* block = reuse(cls);
  if (block || small(cls.bytes)) return block;
  block = system_allocate(cls.bytes);
  if (block && kReuse) {
    std::lock_guard lock(mutex_);
    in_use_ += cls.bytes;
  }
  return block;
}

void* BlockPool::allocate(std::int64_t bytes) {
  const SizeClass cls = size_class(bytes);
  std::byte* block = attempt(cls);
  if (!block) {
    release_cached();
    block = attempt(cls);
  }
  if (!block) {
    throw OutOfMemoryError(cat("[memory] out of memory: ", bytes, " bytes asked for"));
  }
  return block;
}

void BlockPool::release(void* data, std::int64_t bytes) {
  const SizeClass cls = size_class(bytes);
  auto* block = static_cast<std::byte*>(data);
  if (kReuse) {
    std::lock_guard lock(mutex_);
    in_use_ -= cls.bytes;
    if (small(cls.bytes) || cached_ + cls.bytes <= kCacheLimit) {
      classes_[cls.index].free.push_back(block);
      cached_ += cls.bytes;
      return;
    }
  }
  system_free(block, cls.bytes);
}

void BlockPool::release_slabs(Class& blocks, std::int64_t bytes) {
  std::ranges::sort(blocks.free);
  const std::byte* last = blocks.slabs.empty() ? nullptr : blocks.slabs.back();
  std::erase_if(blocks.slabs, [&](std::byte* slab) {
    const auto first = std::ranges::lower_bound(blocks.free, slab);
    const auto end = std::ranges::lower_bound(first, blocks.free.end(), slab + kSlab);
    const std::int64_t handed_out = blocks_in_slab(bytes) - (slab == last ? blocks.fresh : 0);
    if (end - first != handed_out) return false;
    if (slab == last) blocks.fresh = 0;
    cached_ -= handed_out * bytes;
    blocks.free.erase(first, end);
    system_free(slab, kSlab);
    return true;
  });
  // The next allocation takes the lowest address.
  std::ranges::reverse(blocks.free);
}

void BlockPool::release_cached() {
  std::lock_guard lock(mutex_);
  for (Class& blocks : classes_) {
    const std::int64_t bytes = class_bytes(static_cast<int>(&blocks - classes_));
    if (small(bytes)) {
      release_slabs(blocks, bytes);
      continue;
    }
    for (std::byte* block : blocks.free) system_free(block, bytes);
    cached_ -= static_cast<std::int64_t>(blocks.free.size()) * bytes;
    blocks.free.clear();
  }
}

MemoryInfo BlockPool::info() {
  std::lock_guard lock(mutex_);
  return {in_use_, cached_};
}

}  // namespace chainrule
