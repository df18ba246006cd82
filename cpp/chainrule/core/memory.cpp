#include "chainrule/core/memory.h"

#include <atomic>
#include <cstring>

#include "chainrule/core/block_pool.h"
#include "chainrule/core/error.h"
#include "chainrule/core/storage.h"

namespace chainrule {
namespace {

// Never destroyed: arrays may outlive every static object at the end of the process.
BlockPool& pool() {
  static auto* pool = new BlockPool(kBlockHeader);
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
