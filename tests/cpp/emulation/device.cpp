#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "emulation.h"

// Devices and errors.
namespace {

thread_local cudaError_t last_error = cudaSuccess;
thread_local int current_device = 0;

}  // namespace

bool emulating(const char* what) {
  const char* wanted = std::getenv("CHAINRULE_EMULATE");
  return wanted && std::strcmp(wanted, what) == 0;
}

cudaError_t emulated_error(cudaError_t error) { return last_error = error; }

cudaError_t cudaGetLastError() {
  const cudaError_t error = last_error;
  last_error = cudaSuccess;
  return error;
}

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorInsufficientDriver:
      return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorLaunchFailure:
      break;
  }
  return "unspecified launch failure";
}

cudaError_t cudaGetDeviceCount(int* count) {
  if (emulating("no_driver")) return emulated_error(cudaErrorInsufficientDriver);
  if (emulating("no_device")) return emulated_error(cudaErrorNoDevice);
  *count = kEmulatedDevices;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  *device = current_device;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= kEmulatedDevices) return emulated_error(cudaErrorInvalidDevice);
  current_device = device;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  const bool old = emulating("old");
  switch (attribute) {
    case cudaDevAttrComputeMode:
      *value = 0;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = old ? 7 : 9;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = old ? 5 : 0;
      break;
    case cudaDevAttrMemoryPoolsSupported:
      *value = 1;
      break;
  }
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  std::snprintf(properties->name, sizeof(properties->name), "emulated device %d", device);
  return cudaSuccess;
}
