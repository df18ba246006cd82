#pragma once

#include <cuda_runtime.h>

#include <string>

#include "chainrule/backend/plugin_abi.h"
#include "chainrule/core/error.h"

// What every file of the plug-in needs of the CUDA run time.
namespace chainrule::cuda {

// All work runs on the null stream, where CuPy's and PyTorch's runs unless they are told
// otherwise: arrays can be handed over without waiting.
inline cudaStream_t stream() { return nullptr; }

inline constexpr int kMaxDevices = 128;  // Device::index is an int8

// Makes a device current for a scope; others in this process may have chosen theirs.
class DeviceGuard {
 public:
  explicit DeviceGuard(int index) {
    error_ = cudaGetDevice(&before_);
    if (error_ == cudaSuccess && before_ != index) {
      error_ = cudaSetDevice(index);
      changed_ = error_ == cudaSuccess;
    }
  }
  ~DeviceGuard() {
    if (changed_) cudaSetDevice(before_);
  }
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

  cudaError_t error() const { return error_; }

 private:
  int before_ = 0;
  bool changed_ = false;
  cudaError_t error_;
};

// A failed call of the run time, or of ours; never leaves the plug-in.
struct Failure {
  PluginStatus status;
  std::string text;
};

// `what` is what was being done.
inline void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // so that the next check does not find this one
  const PluginStatus status =
      error == cudaErrorMemoryAllocation ? kPluginOutOfMemory : kPluginError;
  throw Failure{status, cat("[cuda] ", what, ": ", cudaGetErrorString(error))};
}

// The functions that run kernels have no way to say that they failed. The first failure is kept
// in mind, and thrown by the next copy or synchronisation: nobody sees a result before.
void keep_failure(const Failure& failure);
void throw_kept_failure();

inline void keep_launch_error(cudaError_t error) {
  if (error == cudaSuccess) return;
  cudaGetLastError();
  keep_failure(
      {kPluginError, cat("[cuda] a kernel could not be started: ", cudaGetErrorString(error))});
}

// Memory and copies, as in PluginTable, but throwing Failure.
void* allocate(int index, std::int64_t bytes);
void release(int index, void* data);
void copy(void* to, Device to_device, const void* from, Device from_device, std::int64_t bytes);
void synchronize(int index);
void stream_wait(int index, void* waiter, void* awaited);
void drain(int index, bool everybody);
int memory_device(const void* data);
PluginMemoryInfo memory_info(int index);
void release_cached(int index);

}  // namespace chainrule::cuda
