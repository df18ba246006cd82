#include <atomic>
#include <mutex>

#include "runtime.h"

// Memory comes from a pool of our own per device, ordered by the stream: what is released is
// handed out again without waiting for the device.
namespace chainrule::cuda {
namespace {

struct Pool {
  std::once_flag made;
  cudaMemPool_t handle = nullptr;  // null where the device has no pools
};

Pool& pool(int index) {
  static auto* pools = new Pool[kMaxDevices];
  Pool& pool = pools[index];
  std::call_once(pool.made, [&] {
    int supported = 0;
    check(cudaDeviceGetAttribute(&supported, cudaDevAttrMemoryPoolsSupported, index),
          "asking for memory pools");
    if (!supported) return;
    cudaMemPoolProps properties{};
    properties.allocType = cudaMemAllocationTypePinned;
    properties.location.type = cudaMemLocationTypeDevice;
    properties.location.id = index;
    cudaMemPool_t handle = nullptr;
    check(cudaMemPoolCreate(&handle, &properties), "making a memory pool");
    // Keep everything until `release_cached` or until memory runs out.
    std::uint64_t threshold = UINT64_MAX;
    check(cudaMemPoolSetAttribute(handle, cudaMemPoolAttrReleaseThreshold, &threshold),
          "setting up a memory pool");
    pool.handle = handle;
  });
  return pool;
}

cudaError_t try_allocate(const Pool& pool, void** data, std::size_t bytes) {
  const cudaError_t error = pool.handle
                                ? cudaMallocFromPoolAsync(data, bytes, pool.handle, stream())
                                : cudaMalloc(data, bytes);
  if (error != cudaSuccess) cudaGetLastError();
  return error;
}

std::int64_t pool_bytes(const Pool& pool, cudaMemPoolAttr attribute) {
  std::uint64_t bytes = 0;
  if (pool.handle) {
    check(cudaMemPoolGetAttribute(pool.handle, attribute, &bytes), "reading the memory pool");
  }
  return static_cast<std::int64_t>(bytes);
}

void wait() { check(cudaStreamSynchronize(stream()), "waiting for the device"); }

struct Kept {
  std::atomic<bool> some{false};
  std::mutex mutex;
  Failure failure;
};

Kept& kept() {
  static auto* kept = new Kept;
  return *kept;
}

}  // namespace

void keep_failure(const Failure& failure) {
  const std::lock_guard lock(kept().mutex);
  if (!kept().some) kept().failure = failure;
  kept().some = true;
}

void throw_kept_failure() {
  if (!kept().some.load(std::memory_order_relaxed)) return;
  const std::lock_guard lock(kept().mutex);
  if (kept().some.exchange(false)) throw Failure(kept().failure);
}

void* allocate(int index, std::int64_t bytes) {
  const DeviceGuard guard(index);
  check(guard.error(), "choosing the device");
  const Pool& from = pool(index);
  const auto wanted = static_cast<std::size_t>(bytes > 0 ? bytes : 1);
  void* data = nullptr;
  cudaError_t error = try_allocate(from, &data, wanted);
  if (error == cudaErrorMemoryAllocation) {
    release_cached(index);
    error = try_allocate(from, &data, wanted);
  }
  if (error == cudaErrorMemoryAllocation) {
    const PluginMemoryInfo info = memory_info(index);
    throw Failure{kPluginOutOfMemory, cat("[memory] out of memory on cuda:", index, ": ", bytes,
                                          " bytes asked for, ", info.free, " of ", info.total,
                                          " are free, ", info.in_use, " are in use by arrays")};
  }
  check(error, "allocating");
  return data;
}

void release(int index, void* data) {
  const DeviceGuard guard(index);
  check(guard.error(), "choosing the device");
  check(pool(index).handle ? cudaFreeAsync(data, stream()) : cudaFree(data), "releasing memory");
}

void copy(void* to, Device to_device, const void* from, Device from_device, std::int64_t bytes) {
  const bool to_cuda = to_device.kind == DeviceKind::cuda;
  const bool from_cuda = from_device.kind == DeviceKind::cuda;
  const DeviceGuard guard(to_cuda ? to_device.index : from_device.index);
  check(guard.error(), "choosing the device");
  throw_kept_failure();
  if (bytes == 0) return;
  const auto count = static_cast<std::size_t>(bytes);
  if (to_cuda && from_cuda && to_device != from_device) {
    // Null streams of two devices know nothing of each other.
    synchronize(from_device.index);
    synchronize(to_device.index);
    check(cudaMemcpyPeerAsync(to, to_device.index, from, from_device.index, count, stream()),
          "copying between devices");
    wait();
    return;
  }
  const cudaMemcpyKind kind = to_cuda && from_cuda ? cudaMemcpyDeviceToDevice
                              : to_cuda            ? cudaMemcpyHostToDevice
                                                   : cudaMemcpyDeviceToHost;
  check(cudaMemcpyAsync(to, from, count, kind, stream()), "copying");
  if (kind != cudaMemcpyDeviceToDevice) wait();
}

void synchronize(int index) {
  const DeviceGuard guard(index);
  check(guard.error(), "choosing the device");
  throw_kept_failure();
  wait();
}

void stream_wait(int index, void* waiter, void* awaited) {
  const auto handle = [](void* stream) {
    return stream ? static_cast<cudaStream_t>(stream) : cudaStreamLegacy;
  };
  if (handle(waiter) == handle(awaited)) return;
  const DeviceGuard guard(index);
  check(guard.error(), "choosing the device");
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "making an event");
  cudaError_t error = cudaEventRecord(event, handle(awaited));
  if (error == cudaSuccess) error = cudaStreamWaitEvent(handle(waiter), event, 0);
  cudaEventDestroy(event);  // what waits for it still does
  check(error, "making a stream wait for another");
}

void drain(int index, bool everybody) {
  const DeviceGuard guard(index);
  check(guard.error(), "choosing the device");
  if (everybody) {
    check(cudaDeviceSynchronize(), "waiting for the device");
  } else {
    wait();
  }
}

int memory_device(const void* data) {
  cudaPointerAttributes attributes{};
  check(cudaPointerGetAttributes(&attributes, data), "asking about memory");
  const bool there =
      attributes.type == cudaMemoryTypeDevice || attributes.type == cudaMemoryTypeManaged;
  return there ? attributes.device : -1;
}

PluginMemoryInfo memory_info(int index) {
  const DeviceGuard guard(index);
  check(guard.error(), "choosing the device");
  const Pool& from = pool(index);
  std::size_t free = 0;
  std::size_t total = 0;
  check(cudaMemGetInfo(&free, &total), "asking for free memory");
  const std::int64_t in_use = pool_bytes(from, cudaMemPoolAttrUsedMemCurrent);
  const std::int64_t reserved = pool_bytes(from, cudaMemPoolAttrReservedMemCurrent);
  return {in_use, reserved - in_use, static_cast<std::int64_t>(free),
          static_cast<std::int64_t>(total)};
}

void release_cached(int index) {
  const DeviceGuard guard(index);
  check(guard.error(), "choosing the device");
  const Pool& from = pool(index);
  wait();
  if (from.handle) check(cudaMemPoolTrimTo(from.handle, 0), "returning cached memory");
}

}  // namespace chainrule::cuda
