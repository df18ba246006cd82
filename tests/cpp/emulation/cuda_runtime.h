#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

// A stand-in for CUDA's header of this name: as much of it as cuda/ uses, so that the plug-in can
// be compiled by the host's compiler and its kernels run, thread by thread, on machines without a
// GPU. Device memory can be touched by kernels and copies alone, and only on its own device.
//
// A library of kernels is the path of a shared library (tests/cpp/plugins/host_compiler.cpp).
//
// CHAINRULE_EMULATE changes what is pretended: "no_driver", "no_device", "old" (compute
// capability 7.5), "out_of_memory" (no allocation succeeds), "no_launch" (no kernel starts).

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorLaunchFailure = 719,
};
const char* cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetLastError();

struct uint2 {
  alignas(8) unsigned x;
  unsigned y;
};
struct uint4 {
  alignas(16) unsigned x;
  unsigned y, z, w;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  dim3() = default;
  explicit dim3(unsigned size) : x(size) {}
};

// Kernels.
#define __global__
#define __device__
#define __shared__ static
#define __launch_bounds__(threads)

using cudaStream_t = struct EmulatedStream*;
#define cudaStreamLegacy (reinterpret_cast<cudaStream_t>(1))
struct cudaLaunchConfig_t {
  dim3 gridDim;
  dim3 blockDim;
  std::size_t dynamicSmemBytes;
  cudaStream_t stream;
};

// Seen by kernels that were compiled at run time, too.
#pragma GCC visibility push(default)
extern thread_local dim3 threadIdx;
extern thread_local dim3 blockIdx;
extern thread_local dim3 blockDim;
extern thread_local dim3 gridDim;
// Must be reached by every thread of the block, or by none.
void __syncthreads();
// The largest in each warp. Here by every thread of the block, too, and with a full mask.
unsigned __reduce_max_sync(unsigned mask, unsigned value);
#pragma GCC visibility pop

cudaError_t emulate_launch(const cudaLaunchConfig_t& config, const std::function<void()>& thread);

template <class... Params, class... Args>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config,
                               void (*kernel)(Params...),
                               Args&&... args) {
  return emulate_launch(*config, [&] { kernel(args...); });
}

// Devices: two of them.
enum cudaDeviceAttr {
  cudaDevAttrComputeMode = 20,
  cudaDevAttrComputeCapabilityMajor = 75,
  cudaDevAttrComputeCapabilityMinor = 76,
  cudaDevAttrMemoryPoolsSupported = 115,
};
constexpr int cudaComputeModeProhibited = 2;
struct cudaDeviceProp {
  char name[256];
};
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);

// Everything happens at once, so that nobody has anything to wait for. What would be waited for is
// written down, a line per call, between emulated_record(true) and emulated_record(false).
constexpr unsigned cudaStreamNonBlocking = 1;
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaDeviceSynchronize();
extern "C" __attribute__((visibility("default"))) void emulated_record(bool on);
extern "C" __attribute__((visibility("default"))) const char* emulated_calls();

// Memory. Everything happens at once.
enum cudaMemcpyKind {
  cudaMemcpyHostToDevice = 1,
  cudaMemcpyDeviceToHost = 2,
  cudaMemcpyDeviceToDevice = 3,
};
enum cudaMemoryType {
  cudaMemoryTypeUnregistered,
  cudaMemoryTypeHost,
  cudaMemoryTypeDevice,
  cudaMemoryTypeManaged,
};
struct cudaPointerAttributes {
  cudaMemoryType type;
  int device;
};
enum cudaMemAllocationType { cudaMemAllocationTypePinned = 1 };
enum cudaMemLocationType { cudaMemLocationTypeDevice = 1 };
struct cudaMemPoolProps {
  cudaMemAllocationType allocType;
  struct {
    cudaMemLocationType type;
    int id;
  } location;
};
using cudaMemPool_t = struct EmulatedPool*;
enum cudaMemPoolAttr {
  cudaMemPoolAttrReleaseThreshold = 4,
  cudaMemPoolAttrReservedMemCurrent = 5,
  cudaMemPoolAttrUsedMemCurrent = 7,
};
cudaError_t cudaMalloc(void** data, std::size_t bytes);
cudaError_t cudaFree(void* data);
cudaError_t cudaMallocHost(void** data, std::size_t bytes);
cudaError_t cudaFreeHost(void* data);
cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps* properties);
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value);
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value);
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, std::size_t bytes);
cudaError_t cudaMallocFromPoolAsync(void** data,
                                    std::size_t bytes,
                                    cudaMemPool_t pool,
                                    cudaStream_t stream);
cudaError_t cudaFreeAsync(void* data, cudaStream_t stream);
cudaError_t cudaMemcpyAsync(void* to,
                            const void* from,
                            std::size_t bytes,
                            cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaMemcpyPeerAsync(void* to,
                                int to_device,
                                const void* from,
                                int from_device,
                                std::size_t bytes,
                                cudaStream_t stream);
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total);
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* data);

// Lets a library that works on device memory do so, on the current device.
extern "C" __attribute__((visibility("default"))) void emulated_touch(void (*work)(void*),
                                                                      void* context);

// Events: that they can be made, recorded and waited for.
using cudaEvent_t = struct EmulatedEvent*;
constexpr unsigned cudaEventDisableTiming = 2;
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);

// Kernels that were compiled at run time.
using cudaLibrary_t = struct EmulatedLibrary*;
using cudaKernel_t = struct EmulatedKernel*;
enum cudaJitOption {};
enum cudaLibraryOption {};
cudaError_t cudaLibraryLoadData(cudaLibrary_t* library,
                                const void* code,
                                cudaJitOption* jit_options,
                                void** jit_values,
                                unsigned jit_count,
                                cudaLibraryOption* options,
                                void** values,
                                unsigned count);
cudaError_t cudaLibraryGetKernel(cudaKernel_t* kernel, cudaLibrary_t library, const char* name);
cudaError_t cudaLibraryUnload(cudaLibrary_t library);
