#pragma once

#include <cstddef>
#include <mutex>
#include <vector>

#include "runtime.h"

namespace chainrule::cuda {

// Tables that kernels read, written by the host before they are started: laid out here, sent over
// in one copy, which runs beside what the device still has to do. One per device at a time; locked
// until it goes out of scope, which is after the last kernel that reads it was started.
class Staging {
 public:
  // For the device that is current.
  explicit Staging(int index);
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

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
  // Waits only if the host is several batches ahead of the device.
  void open();
  template <class T>
  Table<T> table(std::size_t at) const {
    return {reinterpret_cast<T*>(buffer_->host + at), reinterpret_cast<T*>(buffer_->device + at)};
  }
  // Starts the copy; kernels launched afterwards find the tables.
  void send();

 private:
  struct Buffer {
    char* host = nullptr;
    char* device = nullptr;
    std::size_t capacity = 0;
    cudaEvent_t sent = nullptr;  // the host's side may be written again
    cudaEvent_t read = nullptr;  // the device's may
  };
  struct Ring {
    std::mutex mutex;
    cudaStream_t stream = nullptr;  // of the copies
    Buffer buffers[4];
    std::size_t next = 0;
  };
  static Ring& ring_of(int index);
  void grow();

  Ring& ring_;
  std::lock_guard<std::mutex> lock_;
  int index_;
  Buffer* buffer_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace chainrule::cuda
