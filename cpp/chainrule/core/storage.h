#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "chainrule/core/api.h"
#include "chainrule/core/device.h"
#include "chainrule/core/ref.h"

namespace chainrule {

// An object of the host language kept alive by C++ (a NumPy array whose memory is used). The
// bindings install how it is let go; the call may come from any thread.
struct CHAINRULE_API HostObject {
  using Release = void (*)(void* object);

  HostObject() = default;
  explicit HostObject(void* object) : object_(object) {}
  HostObject(HostObject&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  HostObject& operator=(HostObject&& other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~HostObject() {
    if (object_) let_go(object_);
  }

  void* get() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }

  static void set_release(Release release);

 private:
  static void let_go(void* object);

  void* object_ = nullptr;
};

// A block of memory on one device. Either allocated here or adopted from its owner.
class CHAINRULE_API Storage : public RefCounted {
 public:
  // Uninitialised memory, aligned to 64 bytes.
  static Ref<Storage> allocate(std::int64_t bytes, Device device);
  // Memory that belongs to `owner`; kept alive until the last array on it is gone.
  static Ref<Storage> adopt(void* data,
                            std::int64_t bytes,
                            Device device,
                            bool writeable,
                            HostObject owner);
  static void destroy(Storage* storage);
  // Adopted memory only: another block of the same size, with its owner. Arrays on this storage
  // keep their addresses; whoever holds them all sees to that.
  void point_to(void* data, HostObject owner) {
    data_ = static_cast<std::byte*>(data);
    owner_ = std::move(owner);
  }

  std::byte* data() const { return data_; }
  std::int64_t bytes() const { return bytes_; }
  Device device() const { return device_; }
  bool writeable() const { return writeable_; }
  void* owner() const { return owner_.get(); }

 private:
  Storage(std::byte* data, std::int64_t bytes, Device device)
      : data_(data), bytes_(bytes), device_(device) {}
  ~Storage() = default;

  std::byte* data_;
  std::int64_t bytes_;
  Device device_;
  bool writeable_ = true;
  HostObject owner_;
};

// Memory handed out and not yet returned, and memory kept for reuse, in bytes, for the CPU.
struct MemoryInfo {
  std::int64_t in_use;
  std::int64_t cached;
};
CHAINRULE_API MemoryInfo cpu_memory_info();
CHAINRULE_API void cpu_memory_release_cached();

}  // namespace chainrule
