#include "device_memory.h"

#include <pybind11/pybind11.h>

#include <optional>

#include "chainrule/core/error.h"
#include "gil.h"

namespace py = pybind11;

namespace chainrule::python {

namespace dlpack {

std::int64_t stream_of(int device) {
  void* stream = cuda::stream(device);
  return stream ? reinterpret_cast<std::intptr_t>(stream) : kLegacyStream;
}

Device device_of(const Array& array) {
  if (!array.defined()) return {kCpu, 0};
  const auto device = array.device();
  return {device.kind == DeviceKind::cpu ? kCpu : kCuda, device.index};
}

bool is_cuda(const Device& device) { return device.type == kCuda || device.type == kCudaManaged; }

}  // namespace dlpack

std::string problem_with(const dlpack::Device& device) {
  if (device.type == dlpack::kCpu || device.type == dlpack::kCudaHost) return {};
  const std::string named = cat("(", device.type, ", ", device.id, ")");
  if (!dlpack::is_cuda(device)) {
    return cat(named, ", expected the CPU, device type 1, or a CUDA device, type 2");
  }
  const cuda::Status status = cuda::status();
  if (!status.available) return cat(named, ", which cannot be used: ", status.reason);
  try {
    cuda::require(device.id);
  } catch (const DeviceError& error) {
    return cat(named, ", which cannot be used: ", error.what());
  }
  return {};
}

Device device_from_dlpack(const dlpack::Device& device) {
  if (!dlpack::is_cuda(device)) return {};
  return {DeviceKind::cuda, static_cast<std::int8_t>(device.id)};
}

Device device_from_dlpack(const char* op, const char* argument, std::pair<int, int> device) {
  const auto [type, id] = device;
  if (type == dlpack::kCpu && id == 0) return {};
  if (type != dlpack::kCuda) {
    throw py::buffer_error(cat("[", op, "] ", argument, ": got (", type, ", ", id,
                               "), expected (1, 0), the CPU, or (2, i), a CUDA device"));
  }
  if (const std::string problem = problem_with({type, id}); !problem.empty()) {
    throw py::buffer_error(cat("[", op, "] ", argument, ": got ", problem));
  }
  return device_from_dlpack(dlpack::Device{type, id});
}

void drain_device(int index, bool everybody) noexcept {
  try {
    std::optional<ReleaseGil> others;
    if (Py_IsInitialized() && PyGILState_Check()) others.emplace();
    cuda::drain(index, everybody);
  } catch (...) {
    // What is wrong with the device shows in whatever is asked of it next.
  }
}

}  // namespace chainrule::python
