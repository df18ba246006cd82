#pragma once

#include <cstdint>

#include "dlpack_types.h"

// What travels in DLPack's capsules.
namespace chainrule::python::dlpack {

// The old form, which cannot tell what is read-only.
struct ManagedTensor {
  Tensor tensor;
  void* context;
  void (*deleter)(ManagedTensor* self);

  static constexpr const char* name = "dltensor";
  static constexpr const char* used = "used_dltensor";
};

struct ManagedTensorVersioned {
  std::uint32_t major;
  std::uint32_t minor;
  void* context;
  void (*deleter)(ManagedTensorVersioned* self);
  std::uint64_t flags;
  Tensor tensor;

  static constexpr const char* name = "dltensor_versioned";
  static constexpr const char* used = "used_dltensor_versioned";
};

inline constexpr std::uint64_t kReadOnly = 1;
inline constexpr std::uint64_t kIsCopied = 2;

}  // namespace chainrule::python::dlpack
