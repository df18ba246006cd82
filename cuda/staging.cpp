#include "staging.h"

#include <iterator>

namespace chainrule::cuda {

Staging::Ring& Staging::ring_of(int index) {
  static auto* rings = new Ring[kMaxDevices];
  return rings[index];
}

Staging::Staging(int index)
    : ring_(ring_of(index)),
      lock_(ring_.mutex),
      buffer_(ring_.buffers[ring_.next++ % std::size(ring_.buffers)]),
      index_(index) {}

void Staging::open() {
  if (!buffer_.sent) {
    check(cudaEventCreateWithFlags(&buffer_.sent, cudaEventDisableTiming), "making an event");
  } else {
    check(cudaEventSynchronize(buffer_.sent), "waiting for a copy");
  }
  if (buffer_.capacity >= bytes_) return;
  if (buffer_.host) check(cudaFreeHost(buffer_.host), "releasing host memory");
  if (buffer_.device) release(index_, buffer_.device);
  buffer_.host = buffer_.device = nullptr;
  buffer_.capacity = 0;
  const std::size_t bytes = bytes_ + bytes_ / 2;
  void* host = nullptr;
  check(cudaMallocHost(&host, bytes), "allocating host memory");
  buffer_.host = static_cast<char*>(host);
  buffer_.device = static_cast<char*>(allocate(index_, static_cast<std::int64_t>(bytes)));
  buffer_.capacity = bytes;
}

void Staging::send() {
  check(cudaMemcpyAsync(buffer_.device, buffer_.host, bytes_, cudaMemcpyHostToDevice, stream()),
        "copying tables");
  check(cudaEventRecord(buffer_.sent, stream()), "marking a copy");
}

}  // namespace chainrule::cuda
