#include "staging.h"

#include <iterator>

namespace chainrule::cuda {
namespace {

cudaEvent_t make_event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "making an event");
  return event;
}

}  // namespace

Staging::Ring& Staging::ring_of(int index) {
  static auto* rings = new Ring[kMaxDevices];
  return rings[index];
}

Staging::Staging(int index) : ring_(ring_of(index)), lock_(ring_.mutex), index_(index) {}

Staging::~Staging() {
  if (buffer_) keep_launch_error(cudaEventRecord(buffer_->read, stream()));
}

void Staging::open() {
  if (!ring_.stream) {
    check(cudaStreamCreateWithFlags(&ring_.stream, cudaStreamNonBlocking), "making a stream");
  }
  Buffer& buffer = ring_.buffers[ring_.next++ % std::size(ring_.buffers)];
  if (!buffer.sent) buffer.sent = make_event();
  if (!buffer.read) buffer.read = make_event();
  buffer_ = &buffer;
  check(cudaEventSynchronize(buffer.sent), "waiting for a copy");
  if (buffer.capacity < bytes_) grow();
}

void Staging::grow() {
  Buffer& buffer = *buffer_;
  buffer.capacity = 0;
  if (buffer.host) check(cudaFreeHost(buffer.host), "releasing host memory");
  buffer.host = nullptr;
  if (buffer.device) release(index_, buffer.device);
  buffer.device = nullptr;
  const std::size_t bytes = bytes_ + bytes_ / 2;
  void* host = nullptr;
  check(cudaMallocHost(&host, bytes), "allocating host memory");
  buffer.host = static_cast<char*>(host);
  buffer.device = static_cast<char*>(allocate(index_, static_cast<std::int64_t>(bytes)));
  // Memory of the pool is there in the order of our stream.
  check(cudaEventRecord(buffer.read, stream()), "marking a buffer");
  buffer.capacity = bytes;
}

void Staging::send() {
  check(cudaStreamWaitEvent(ring_.stream, buffer_->read, 0), "waiting for kernels");
  check(
      cudaMemcpyAsync(buffer_->device, buffer_->host, bytes_, cudaMemcpyHostToDevice, ring_.stream),
      "copying tables");
  check(cudaEventRecord(buffer_->sent, ring_.stream), "marking a copy");
  check(cudaStreamWaitEvent(stream(), buffer_->sent, 0), "waiting for a copy");
}

}  // namespace chainrule::cuda
