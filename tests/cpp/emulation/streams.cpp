#include <atomic>
#include <cstdint>
#include <mutex>
#include <sstream>
#include <string>

#include "emulation.h"

// Streams and events: there is nothing to wait for, but who would wait is written down.
namespace {

std::mutex mutex;
bool recording = false;
std::string calls;
std::atomic<std::uintptr_t> events{0};

template <class... Parts>
cudaError_t record(const Parts&... parts) {
  int device = 0;
  cudaGetDevice(&device);
  const std::lock_guard lock(mutex);
  if (!recording) return cudaSuccess;
  std::ostringstream line;
  line << "cuda:" << device << ": ";
  ((line << parts), ...);
  calls += line.str() + "\n";
  return cudaSuccess;
}

std::string name(cudaStream_t stream) {
  const auto number = reinterpret_cast<std::uintptr_t>(stream);
  return "stream " + std::to_string(number == 0 ? 1 : number);
}

std::string name(cudaEvent_t event) {
  return "event " + std::to_string(reinterpret_cast<std::uintptr_t>(event));
}

}  // namespace

void emulated_record(bool on) {
  const std::lock_guard lock(mutex);
  if (on) {
    calls.clear();
    events = 0;
  }
  recording = on;
}

const char* emulated_calls() {
  thread_local std::string copy;
  const std::lock_guard lock(mutex);
  copy = calls;
  return copy.c_str();
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  static std::atomic<std::uintptr_t> streams{100};
  *stream = reinterpret_cast<cudaStream_t>(++streams);
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return record("the host waits for ", name(stream));
}
cudaError_t cudaDeviceSynchronize() { return record("the host waits for all streams"); }

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = reinterpret_cast<cudaEvent_t>(++events);
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return record(name(event), " in ", name(stream));
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return record("the host waits for ", name(event));
}
cudaError_t cudaEventDestroy(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  return record(name(stream), " waits for ", name(event));
}
