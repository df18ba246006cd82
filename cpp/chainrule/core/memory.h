#pragma once

#include <cstdint>

#include "chainrule/core/api.h"
#include "chainrule/core/device.h"

namespace chainrule {

// What a device must provide to hold arrays. The CPU is built in; a plug-in registers its own.
struct DeviceMemory {
  void* (*allocate)(std::int64_t bytes, int index);
  void (*release)(void* data, std::int64_t bytes, int index);
  // Waits until the bytes have arrived.
  void (
      *copy)(void* to, Device to_device, const void* from, Device from_device, std::int64_t bytes);
};

CHAINRULE_API void register_device_memory(DeviceKind kind, const DeviceMemory& memory);
// What to call, once, before a kind without memory is given up: it registers, or throws why not.
using DeviceProvider = void (*)(DeviceKind kind);
void set_device_provider(DeviceProvider provider);
CHAINRULE_API const DeviceMemory& device_memory(DeviceKind kind);

// Blocks of the CPU's pool. Both sizes count the header, which the pool leaves to the caller.
inline constexpr std::int64_t kBlockHeader = 64;
void* cpu_block_allocate(std::int64_t bytes);
void cpu_block_release(void* block, std::int64_t bytes);

}  // namespace chainrule
