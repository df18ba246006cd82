#include "cuda.h"

#include <pybind11/stl.h>

#include <map>
#include <string>
#include <utility>

#include "chainrule/backend/plugin.h"
#include "gil.h"

namespace py = pybind11;

namespace chainrule::python {
namespace {

// Never destroyed: memory may be asked for until the end of the process.
py::object& reclaimer() {
  static auto* kept = new py::object;
  return *kept;
}

void reclaim(int device) {
  if (!Py_IsInitialized()) return;
  HoldGil gil;
  const py::error_scope before;  // whatever is being raised already
  try {
    reclaimer()(device);
  } catch (py::error_already_set& error) {
    error.discard_as_unraisable("chainrule: giving back memory of a GPU");
  }
}

std::pair<std::string, std::string> told(cuda::LibraryState (*ask)()) {
  const ReleaseGil gil;  // the first call opens a library
  cuda::LibraryState state = ask();
  return {std::move(state.name), std::move(state.problem)};
}

}  // namespace

void bind_cuda(py::module_& m) {
  m.def(
      "cuda_status",
      [] {
        cuda::Status status;
        {
          const ReleaseGil gil;  // the first call starts the driver
          status = cuda::status();
        }
        return std::pair(status.available, status.reason);
      },
      "Whether CUDA can be used, and if not, why: one sentence. Looks on the first call.");
  m.def(
      "cuda_rule_compiler", [] { return told(cuda::rule_compiler); },
      "What compiles traced rules for CUDA, and why some are interpreted; each may be empty.");
  m.def(
      "cuda_products", [] { return told(cuda::products); },
      "What multiplies matrices on CUDA, and why nothing does; one of them is empty.");
  m.def(
      "cuda_device_count",
      [] {
        const ReleaseGil gil;
        return cuda::device_count();
      },
      "Number of CUDA devices; 0 where CUDA is not available.");
  m.def(
      "cuda_device_name",
      [](int device) {
        const ReleaseGil gil;
        return cuda::device_name(device);
      },
      py::arg("device"), "A CUDA device's name.");
  m.def(
      "cuda_memory_info",
      [](int device) {
        const ReleaseGil gil;
        const cuda::DeviceMemoryInfo info = cuda::memory_info(device);
        return std::map<std::string, std::int64_t>{{"in_use", info.in_use},
                                                   {"cached", info.cached},
                                                   {"free", info.free},
                                                   {"total", info.total}};
      },
      py::arg("device"),
      "Bytes of a CUDA device: in_use by arrays, cached for reuse, free of the whole device, "
      "total.");
  m.def(
      "cuda_release_cached_memory",
      [](int device) {
        const ReleaseGil gil;
        cuda::release_cached(device);
      },
      py::arg("device"), "Returns memory kept for reuse to the device.");
  m.def(
      "cuda_set_reclaimer",
      [](py::object function) {
        const bool some = !function.is_none();
        reclaimer() = std::move(function);
        cuda::set_reclaimer(some ? reclaim : nullptr);
      },
      py::arg("function"),
      "``function(device)`` gives back memory that another library keeps; it is called before an "
      "allocation on a CUDA device fails. None for nobody.");
  m.def(
      "cuda_synchronize",
      [](int device) {
        const ReleaseGil gil;
        cuda::synchronize(device);
      },
      py::arg("device"), "Waits until a CUDA device has done all its work.");
}

}  // namespace chainrule::python
