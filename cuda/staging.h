#pragma once

#include <cstddef>
#include <mutex>
#include <vector>

#include "runtime.h"

namespace chainrule::cuda {

// Tables that a kernel reads, written by the host before each launch: laid out here, sent over
// in one copy. One per device; locked from `begin` until it goes out of scope.
class Staging {
 public:
  // For the device that is current.
  explicit Staging(int index);

  // Room for `count` values, at the same place on both sides. All rooms are asked for first.
  template <class T>
  struct Table {
    T* host;
    T* device;
  };
  template <class T>
  std::size_t room(std::int64_t count) {
    const std::size_t at = bytes_;
    bytes_ += (static_cast<std::size_t>(count) * sizeof(T) + 15) / 16 * 16;
    return at;
  }
  // Waits until the copy before this one has left the host's memory.
  void open();
  template <class T>
  Table<T> table(std::size_t at) const {
    return {reinterpret_cast<T*>(buffer_.host + at), reinterpret_cast<T*>(buffer_.device + at)};
  }
  // Starts the copy; kernels launched afterwards find the tables.
  void send();

 private:
  struct Buffer {
    std::mutex mutex;
    char* host = nullptr;
    char* device = nullptr;
    std::size_t capacity = 0;
    cudaEvent_t sent = nullptr;
  };
  static Buffer& buffer_of(int index);

  Buffer& buffer_;
  std::lock_guard<std::mutex> lock_;
  int index_;
  std::size_t bytes_ = 0;
};

}  // namespace chainrule::cuda
