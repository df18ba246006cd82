#pragma once

#include "cuda_runtime.h"

// What the files of the emulation share.

inline constexpr int kEmulatedDevices = 2;

// Whether CHAINRULE_EMULATE asks for this.
bool emulating(const char* what);

// Notes an error for cudaGetLastError and returns it.
cudaError_t emulated_error(cudaError_t error);

// For what would be undefined behaviour on a GPU.
[[noreturn]] void emulation_abort(const char* why);

// Opens the memory of one device, or of all where it is negative; one thread at a time.
class MemoryAccess {
 public:
  explicit MemoryAccess(int device);
  ~MemoryAccess();
  MemoryAccess(const MemoryAccess&) = delete;
  MemoryAccess& operator=(const MemoryAccess&) = delete;

 private:
  int device_;
};
