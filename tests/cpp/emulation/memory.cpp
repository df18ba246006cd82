#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "emulation.h"

// Device memory: pages that nothing may touch, except kernels on their device and copies.
namespace {

constexpr std::size_t kTotal = std::size_t{1} << 30;
constexpr std::byte kCanary{0xA5};

struct Block {
  std::size_t bytes;
  std::size_t mapped;  // the last page is never opened
  int device;
  EmulatedPool* pool;
};

std::recursive_mutex mutex;
std::size_t used[kEmulatedDevices];

std::map<std::uintptr_t, Block>& blocks() {
  static auto* all = new std::map<std::uintptr_t, Block>;
  return *all;
}

std::size_t page() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

void protect(std::uintptr_t address, const Block& block, int protection) {
  if (mprotect(reinterpret_cast<void*>(address), block.mapped - page(), protection)) std::abort();
}

// The block that holds all of data..data+bytes, or null.
const Block* find(const void* data, std::size_t bytes) {
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  auto next = blocks().upper_bound(address);
  if (next == blocks().begin()) return nullptr;
  const auto& found = *std::prev(next);
  return address + bytes <= found.first + found.second.bytes ? &found.second : nullptr;
}

// A run of foreign memory; true where no part of it is a device's.
bool is_host(const void* data, std::size_t bytes) {
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  auto next = blocks().lower_bound(address + bytes);
  if (next == blocks().begin()) return true;
  const auto& before = *std::prev(next);
  return before.first + before.second.mapped <= address;
}

}  // namespace

struct EmulatedPool {
  int device;
  std::uint64_t reserved = 0;
  std::uint64_t used = 0;
};

MemoryAccess::MemoryAccess(int device) : device_(device) {
  mutex.lock();
  for (auto& [address, block] : blocks()) {
    if (device_ < 0 || block.device == device_) protect(address, block, PROT_READ | PROT_WRITE);
  }
}
MemoryAccess::~MemoryAccess() {
  for (auto& [address, block] : blocks()) protect(address, block, PROT_NONE);
  mutex.unlock();
}

static cudaError_t allocate(void** data, std::size_t bytes, EmulatedPool* pool) {
  const std::lock_guard lock(mutex);
  int device = 0;
  cudaGetDevice(&device);
  if (bytes == 0) return emulated_error(cudaErrorInvalidValue);
  if (emulating("out_of_memory") || used[device] + bytes > kTotal) {
    return emulated_error(cudaErrorMemoryAllocation);
  }
  const std::size_t mapped = (bytes + page() - 1) / page() * page() + page();
  void* memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return emulated_error(cudaErrorMemoryAllocation);
  // Whatever was not written reads as NaN or -1; past the end stands the canary.
  std::memset(memory, 0xFF, bytes);
  std::memset(static_cast<std::byte*>(memory) + bytes, static_cast<int>(kCanary),
              mapped - page() - bytes);
  mprotect(memory, mapped, PROT_NONE);
  blocks()[reinterpret_cast<std::uintptr_t>(memory)] = {bytes, mapped, device, pool};
  used[device] += bytes;
  if (pool) {
    pool->used += bytes;
    if (pool->used > pool->reserved) pool->reserved = pool->used;
  }
  *data = memory;
  return cudaSuccess;
}

static cudaError_t release(void* data) {
  const std::lock_guard lock(mutex);
  const auto found = blocks().find(reinterpret_cast<std::uintptr_t>(data));
  if (found == blocks().end()) return emulated_error(cudaErrorInvalidValue);
  const Block& block = found->second;
  protect(found->first, block, PROT_READ);
  const auto* bytes = static_cast<const std::byte*>(data);
  for (std::size_t i = block.bytes; i < block.mapped - page(); ++i) {
    if (bytes[i] != kCanary) emulation_abort("a kernel wrote past the end of an array");
  }
  used[block.device] -= block.bytes;
  if (block.pool) block.pool->used -= block.bytes;
  munmap(data, block.mapped);
  blocks().erase(found);
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

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  const std::lock_guard lock(mutex);
  int device = 0;
  cudaGetDevice(&device);
  *total = kTotal;
  *free = kTotal - used[device];
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* data) {
  const std::lock_guard lock(mutex);
  const Block* found = find(data, 1);
  *attributes = found ? cudaPointerAttributes{cudaMemoryTypeDevice, found->device}
                      : cudaPointerAttributes{cudaMemoryTypeUnregistered, -1};
  return cudaSuccess;
}
