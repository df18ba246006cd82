#pragma once

#include <string>

#include "chainrule/core/api.h"
#include "chainrule/core/device.h"

// The way to CUDA: libchainrule_cuda.so, which lies beside libchainrule.so or at the path in
// CHAINRULE_CUDA_PLUGIN, is opened when a CUDA device is first asked for. One attempt is made;
// where it fails, `status` keeps the reason.
namespace chainrule::cuda {

struct Status {
  bool available;
  std::string reason;  // one sentence; empty where CUDA is available
};

// Opens the plug-in on the first call. Thread-safe, never throws for want of CUDA.
CHAINRULE_API Status status();

// 0 where CUDA is not available.
CHAINRULE_API int device_count();

// Throws a DeviceError that says why unless arrays can live on this device.
CHAINRULE_API void require(int index);

struct DeviceMemoryInfo {
  std::int64_t in_use;  // by arrays
  std::int64_t cached;  // kept for reuse
  std::int64_t free;    // of the whole device, by any program
  std::int64_t total;
};

// A library that the plug-in opens, and its version; empty where there is none.
struct LibraryState {
  std::string name;
  std::string problem;
};
// What makes kernels of traced rules. `problem` says why they are interpreted instead, all of them
// or the last that was not compiled. Throws a DeviceError where CUDA is not available.
CHAINRULE_API LibraryState rule_compiler();
// What multiplies matrices there, or why nothing does. Throws a DeviceError where CUDA is not
// available.
CHAINRULE_API LibraryState products();
// Makes a device ready to multiply; throws a DeviceError that says why where that is not possible.
CHAINRULE_API void require_products(int index);

// These throw as `require` does.
CHAINRULE_API std::string device_name(int index);
CHAINRULE_API DeviceMemoryInfo memory_info(int index);
// Others in this process may keep memory of the devices for reuse. `reclaim` has them give it back
// and is called, from any thread, where an allocation failed, which is then tried once more; it
// throws nothing. Null for nobody.
CHAINRULE_API void set_reclaimer(void (*reclaim)(int index));
// Gives memory kept for reuse back to the device.
CHAINRULE_API void release_cached(int index);
// Waits until all work is done; throws what went wrong in it.
CHAINRULE_API void synchronize(int index);
// The cudaStream_t on which a device's work runs.
CHAINRULE_API void* stream(int index);
// Has a stream of a device wait, there, for what another one has been given so far; the caller
// does not wait. Streams as CUDA numbers them, and DLPack and the CUDA array interface with it: 1
// is the legacy default stream, 2 the calling thread's own, others are addresses.
CHAINRULE_API void stream_wait(int index, void* waiter, void* awaited);
// Waits for our work, or for everybody's on the device. Unlike `synchronize` this leaves what
// went wrong in it for others to find, so that destructors may call it.
CHAINRULE_API void drain(int index, bool everybody);
// The device that memory lies on, or -1 where CUDA does not know it as a device's.
CHAINRULE_API int memory_device(const void* data);

// For tests: forgets the plug-in, so that the next call tries again. No CUDA array may be alive.
CHAINRULE_API void forget_plugin();

}  // namespace chainrule::cuda
