#pragma once

#include <cstddef>
#include <mutex>
#include <vector>

#include "runtime.h"

namespace chainrule::cuda {

// Tables that a kernel reads, written by the host before each launch: laid out here, sent over
// in one copy. One at a time per device; locked until it goes out of scope.
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
  // Waits until the host's memory is free again: that of a copy several copies ago, so that a step
  // of several sweeps does not wait for what the GPU had to do before it.
  void open();
  template <class T>
  Table<T> table(std::size_t at) const {
    return {reinterpret_cast<T*>(buffer_.host + at), reinterpret_cast<T*>(buffer_.device + at)};
  }
  // Starts the copy; kernels launched afterwards find the tables.
  void send();

 private:
  struct Buffer {
    char* host = nullptr;
    char* device = nullptr;
    std::size_t capacity = 0;
    cudaEvent_t sent = nullptr;
  };
  struct Ring {
    std::mutex mutex;
    Buffer buffers[4];
    std::size_t next = 0;
  };
  static Ring& ring_of(int index);

  Ring& ring_;
  std::lock_guard<std::mutex> lock_;
  Buffer& buffer_;
  int index_;
  std::size_t bytes_ = 0;
};

}  // namespace chainrule::cuda
