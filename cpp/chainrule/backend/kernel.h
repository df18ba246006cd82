#pragma once

#include <cstdint>
#include <vector>

#include "chainrule/core/api.h"
#include "chainrule/core/array.h"

// A kernel is a named slot with one function pointer per device. The CPU column is filled by
// `cpu::register_kernels` when the library is loaded, the CUDA column by the plug-in, by name.
namespace chainrule {

class CHAINRULE_API KernelBase {
 public:
  explicit KernelBase(const char* name);
  const char* name() const { return name_; }

  static KernelBase* find(const char* name);
  // Every slot there is, in no particular order.
  static std::vector<KernelBase*> all();
  void set(DeviceKind kind, int column, void* function) {
    functions_[static_cast<int>(kind)][column] = function;
  }
  bool has(DeviceKind kind, int column) const {
    return functions_[static_cast<int>(kind)][column] != nullptr;
  }

 protected:
  // Fills the CPU column on the very first call; after that, says what is missing.
  void* resolve(Device device, int column) const;
  void* functions_[kDeviceKindCount][kDtypeCount] = {};

 private:
  const char* name_;
};

template <class Signature>
class Kernel;

// One function per device and dtype; a kernel that does not care uses the first column.
template <class R, class... Args>
class Kernel<R(Args...)> : public KernelBase {
 public:
  using Function = R (*)(Args...);
  using KernelBase::KernelBase;

  Function get(Device device, Dtype dtype = Dtype::bool_) const {
    void* function = functions_[static_cast<int>(device.kind)][static_cast<int>(dtype)];
    if (!function) [[unlikely]]
      function = resolve(device, static_cast<int>(dtype));
    return reinterpret_cast<Function>(function);
  }
};

// Loads the CPU column. Idempotent and thread-safe.
CHAINRULE_API void initialize_kernels();

}  // namespace chainrule
