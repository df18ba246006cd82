#pragma once

#include <cstddef>
#include <cstdint>

#include "chainrule/backend/kernel_registrar.h"
#include "chainrule/backend/matrix.h"
#include "chainrule/backend/plan.h"
#include "chainrule/backend/reduction_plan.h"
#include "chainrule/core/device.h"
#include "chainrule/core/dtype.h"
#include "chainrule/update/plan.h"

// What libchainrule_cuda.so shows to libchainrule.so: one C function that returns one table.
// Plain data and functions that never throw, so that the two halves may come from different
// compilers; the stamp tells when they come from different versions.
namespace chainrule {

inline constexpr std::int32_t kPluginAbi = 3;
inline constexpr char kPluginSymbol[] = "chainrule_cuda_plugin";
inline constexpr char kPluginFile[] = "libchainrule_cuda.so";

// Stands first in the table, in every version, so that any two can be compared.
struct PluginStamp {
  std::int32_t abi;
  std::int32_t table_bytes;
  std::uint64_t layout;
  const char* version;
};

enum PluginStatus : std::int32_t { kPluginOk, kPluginOutOfMemory, kPluginError };

struct PluginMemoryInfo {
  std::int64_t in_use;  // handed out and not yet returned
  std::int64_t cached;  // kept for reuse
  std::int64_t free;    // of the whole device
  std::int64_t total;
};

// Where a function returns PluginStatus and it is not kPluginOk, `last_error` says why. `index`
// numbers devices from 0.
struct PluginTable {
  PluginStamp stamp;
  // The text belongs to the calling thread's last failure.
  const char* (*last_error)();
  PluginStatus (*device_count)(int* count);
  // Why the device cannot be used; empty where it can. Cut to `size` bytes, as the next is.
  PluginStatus (*device_problem)(int index, char* text, int size);
  PluginStatus (*device_name)(int index, char* text, int size);
  // What compiles users' rules into kernels; and why some are interpreted, empty where none is.
  PluginStatus (*rule_compiler)(char* name, char* problem, int size);
  // What multiplies matrices; and why nothing does, empty where something does.
  PluginStatus (*products)(char* name, char* problem, int size);
  // Makes a device ready to multiply: what the kernel "gemm" must not be called without.
  PluginStatus (*require_products)(int index);
  // Hands over every kernel. Touches no device.
  void (*kernels)(KernelRegistrar add);
  PluginStatus (*allocate)(int index, std::int64_t bytes, void** data);
  PluginStatus (*release)(int index, void* data);
  // Where one side is the host, waits until the bytes have arrived. Reports what went wrong in
  // kernels started earlier.
  PluginStatus (
      *copy)(void* to, Device to_device, const void* from, Device from_device, std::int64_t bytes);
  // Waits for everything that was started, and reports what went wrong in it.
  PluginStatus (*synchronize)(int index);
  PluginStatus (*memory_info)(int index, PluginMemoryInfo* info);
  PluginStatus (*release_cached)(int index);
  // The cudaStream_t on which all work of the device runs.
  void* (*stream)(int index);
  // Has a stream wait, on the device, for what another has been given so far. Streams as the run
  // time numbers them: 0 and 1 the legacy default stream, 2 the thread's own, others addresses.
  PluginStatus (*stream_wait)(int index, void* waiter, void* awaited);
  // Waits for our work, or for everybody's on the device; what went wrong in ours stays to be
  // reported.
  PluginStatus (*drain)(int index, bool everybody);
  // The device that memory lies on; -1 where it is no device's.
  PluginStatus (*memory_device)(const void* data, int* index);
};

using PluginEntry = const PluginTable*();

// Changes with every struct and number that both halves read.
constexpr std::uint64_t plugin_layout() {
  std::uint64_t hash = 14695981039346656037u;
  const auto add = [&](std::uint64_t value) {
    for (int i = 0; i < 8; ++i) hash = (hash ^ ((value >> (8 * i)) & 255)) * 1099511628211u;
  };
  add(sizeof(void*));
  add(sizeof(Device));
  add(kDeviceKindCount);
  add(kDtypeCount);
  for (int i = 0; i < kDtypeCount; ++i) add(item_size(static_cast<Dtype>(i)));
  add(sizeof(ElementwisePlan));
  add(offsetof(ElementwisePlan, operand_count));
  add(offsetof(ElementwisePlan, device));
  add(offsetof(ElementwisePlan, shape));
  add(offsetof(ElementwisePlan, data));
  add(offsetof(ElementwisePlan, strides));
  add(offsetof(ElementwisePlan, params));
  add(sizeof(GemmPlan));
  add(offsetof(GemmPlan, alpha));
  add(offsetof(GemmPlan, batch_strides));
  add(offsetof(GemmPlan, device));
  add(sizeof(ReductionPlan));
  add(offsetof(ReductionPlan, outputs));
  add(offsetof(ReductionPlan, divisor));
  add(offsetof(ReductionPlan, device));
  add(sizeof(update::GradientStep));
  add(sizeof(update::Row));
  add(offsetof(update::Row, state));
  add(offsetof(update::Row, size));
  add(offsetof(update::Row, shared_steps));
  add(offsetof(update::Row, rule));
  add(offsetof(update::Row, param_dtype));
  add(offsetof(update::Row, write_grad));
  add(offsetof(update::Row, coefs));
  add(sizeof(update::Chunk));
  add(sizeof(update::Batch));
  add(update::kChunk);
  add(sizeof(PluginTable));
  return hash;
}

}  // namespace chainrule
