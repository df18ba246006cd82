#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "emulation.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes)
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes)
#endif

// Device memory: a stretch of pages per device that nothing may touch, except kernels on that
// device and copies.
namespace {

constexpr std::size_t kTotal = std::size_t{1} << 30;
constexpr std::size_t kAlignment = 256;
constexpr std::size_t kGap = 256;  // between blocks, full of canaries
constexpr std::byte kCanary{0xA5};

struct Block {
  std::size_t bytes;
  std::size_t room;  // with the gap
  int device;
  EmulatedPool* pool;
};

struct Arena {
  std::byte* base = nullptr;
  std::size_t top = 0;
  std::size_t used = 0;
  std::multimap<std::size_t, std::byte*> released;  // by room
};

std::recursive_mutex mutex;
Arena arenas[kEmulatedDevices];

std::map<const std::byte*, Block>& blocks() {
  static auto* all = new std::map<const std::byte*, Block>;
  return *all;
}

void protect(const Arena& arena, int protection) {
  if (arena.base && mprotect(arena.base, kTotal, protection)) std::abort();
}

// The block that holds all of data..data+bytes, or null.
const Block* find(const void* data, std::size_t bytes) {
  const auto* address = static_cast<const std::byte*>(data);
  auto next = blocks().upper_bound(address);
  if (next == blocks().begin()) return nullptr;
  const auto& [begin, block] = *std::prev(next);
  return address + bytes <= begin + block.bytes ? &block : nullptr;
}

// Memory of the host: no part of it is a device's.
bool is_host(const void* data, std::size_t bytes) {
  const auto* address = static_cast<const std::byte*>(data);
  for (const Arena& arena : arenas) {
    if (arena.base && address + bytes > arena.base && address < arena.base + kTotal) return false;
  }
  return true;
}

}  // namespace

struct EmulatedPool {
  int device;
  std::uint64_t reserved = 0;
  std::uint64_t used = 0;
};

MemoryAccess::MemoryAccess(int device) : device_(device) {
  mutex.lock();
  for (int i = 0; i < kEmulatedDevices; ++i) {
    if (device_ < 0 || i == device_) protect(arenas[i], PROT_READ | PROT_WRITE);
  }
}
MemoryAccess::~MemoryAccess() {
  for (const Arena& arena : arenas) protect(arena, PROT_NONE);
  mutex.unlock();
}

static cudaError_t allocate(void** data, std::size_t bytes, EmulatedPool* pool) {
  int device = 0;
  cudaGetDevice(&device);
  const std::lock_guard lock(mutex);
  Arena& arena = arenas[device];
  if (!arena.base) {
    void* base =
        mmap(nullptr, kTotal, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) return emulated_error(cudaErrorMemoryAllocation);
    arena.base = static_cast<std::byte*>(base);
  }
  if (bytes == 0) return emulated_error(cudaErrorInvalidValue);
  if (emulating("out_of_memory") || bytes > kTotal) {
    return emulated_error(cudaErrorMemoryAllocation);
  }
  const std::size_t room = (bytes + kAlignment - 1) / kAlignment * kAlignment + kGap;
  std::byte* block = nullptr;
  if (const auto found = arena.released.find(room); found != arena.released.end()) {
    block = found->second;
    arena.released.erase(found);
  } else if (arena.top + room <= kTotal) {
    block = arena.base + arena.top;
    arena.top += room;
  } else {
    return emulated_error(cudaErrorMemoryAllocation);
  }
  const MemoryAccess access(device);
  ASAN_UNPOISON_MEMORY_REGION(block, room);
  // Whatever was not written reads as NaN or -1.
  std::memset(block, 0xFF, bytes);
  std::memset(block + bytes, static_cast<int>(kCanary), room - bytes);
  ASAN_POISON_MEMORY_REGION(block + bytes, room - bytes);
  blocks()[block] = {bytes, room, device, pool};
  arena.used += bytes;
  if (pool) {
    pool->used += bytes;
    if (pool->used > pool->reserved) pool->reserved = pool->used;
  }
  *data = block;
  return cudaSuccess;
}

static cudaError_t release(void* data) {
  const std::lock_guard lock(mutex);
  auto* address = static_cast<std::byte*>(data);
  const auto found = blocks().find(address);
  if (found == blocks().end()) return emulated_error(cudaErrorInvalidValue);
  const Block block = found->second;
  blocks().erase(found);
  const MemoryAccess access(block.device);
  ASAN_UNPOISON_MEMORY_REGION(address, block.room);
  for (std::size_t i = block.bytes; i < block.room; ++i) {
    if (address[i] != kCanary) emulation_abort("a kernel wrote past the end of an array");
  }
  std::memset(address, 0xFF, block.bytes);
  ASAN_POISON_MEMORY_REGION(address, block.room);
  Arena& arena = arenas[block.device];
  arena.used -= block.bytes;
  arena.released.emplace(block.room, address);
  if (block.pool) block.pool->used -= block.bytes;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** data, std::size_t bytes) { return allocate(data, bytes, nullptr); }
cudaError_t cudaFree(void* data) { return release(data); }

cudaError_t cudaMallocHost(void** data, std::size_t bytes) {
  *data = std::malloc(bytes);
  return *data ? cudaSuccess : emulated_error(cudaErrorMemoryAllocation);
}
cudaError_t cudaFreeHost(void* data) {
  std::free(data);
  return cudaSuccess;
}

cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps* properties) {
  *pool = new EmulatedPool{properties->location.id};
  return cudaSuccess;
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr attribute, void*) {
  return attribute == cudaMemPoolAttrReleaseThreshold ? cudaSuccess
                                                      : emulated_error(cudaErrorInvalidValue);
}
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value) {
  const std::lock_guard lock(mutex);
  *static_cast<std::uint64_t*>(value) =
      attribute == cudaMemPoolAttrUsedMemCurrent ? pool->used : pool->reserved;
  return cudaSuccess;
}
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, std::size_t) {
  const std::lock_guard lock(mutex);
  pool->reserved = pool->used;
  return cudaSuccess;
}
cudaError_t cudaMallocFromPoolAsync(void** data,
                                    std::size_t bytes,
                                    cudaMemPool_t pool,
                                    cudaStream_t) {
  return allocate(data, bytes, pool);
}
cudaError_t cudaFreeAsync(void* data, cudaStream_t) { return release(data); }

cudaError_t cudaMemcpyAsync(void* to,
                            const void* from,
                            std::size_t bytes,
                            cudaMemcpyKind kind,
                            cudaStream_t) {
  const MemoryAccess access(-1);
  const bool to_host = kind == cudaMemcpyDeviceToHost;
  const bool from_host = kind == cudaMemcpyHostToDevice;
  if (!(to_host ? is_host(to, bytes) : find(to, bytes) != nullptr) ||
      !(from_host ? is_host(from, bytes) : find(from, bytes) != nullptr)) {
    return emulated_error(cudaErrorInvalidValue);
  }
  std::memmove(to, from, bytes);
  return cudaSuccess;
}

cudaError_t cudaMemcpyPeerAsync(void* to,
                                int to_device,
                                const void* from,
                                int from_device,
                                std::size_t bytes,
                                cudaStream_t) {
  const MemoryAccess access(-1);
  const Block* target = find(to, bytes);
  const Block* source = find(from, bytes);
  if (!target || target->device != to_device || !source || source->device != from_device) {
    return emulated_error(cudaErrorInvalidValue);
  }
  std::memmove(to, from, bytes);
  return cudaSuccess;
}

void emulated_touch(void (*work)(void*), void* context) {
  int device = 0;
  cudaGetDevice(&device);
  const MemoryAccess access(device);
  work(context);
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  const std::lock_guard lock(mutex);
  int device = 0;
  cudaGetDevice(&device);
  *total = kTotal;
  *free = kTotal - arenas[device].used;
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* data) {
  const std::lock_guard lock(mutex);
  const Block* found = find(data, 1);
  *attributes = found ? cudaPointerAttributes{cudaMemoryTypeDevice, found->device}
                      : cudaPointerAttributes{cudaMemoryTypeUnregistered, -1};
  return cudaSuccess;
}
