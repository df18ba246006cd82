#include "xla_call.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <thread>
#include <utility>

#include <unistd.h>

#include "chainrule/core/error.h"
#include "gil.h"

namespace py = pybind11;

namespace chainrule::python {
namespace {

// XLA's foreign function interface (xla/ffi/api/c_api.h, major version 0), as far as it is used
// here. New minor versions add fields behind those that are there.
namespace xla {

constexpr std::int32_t kMajor = 0;
constexpr std::int32_t kMinor = 3;
constexpr std::int32_t kMetadata = 1;   // an Extension
constexpr std::int32_t kExecute = 3;    // a stage
constexpr std::int32_t kInternal = 13;  // an error's code

struct Extension {
  std::size_t size;
  std::int32_t type;
  Extension* next;
};

struct Version {
  std::size_t size;
  Extension* extensions;
  std::int32_t major;
  std::int32_t minor;
};

struct Metadata {
  std::size_t size;
  Version version;
  std::uint32_t traits;
};

struct MetadataExtension {
  Extension base;
  Metadata* metadata;
};

struct ErrorArguments {
  std::size_t size;
  Extension* extensions;
  const char* message;
  std::int32_t code;
};

struct Api {
  std::size_t size;
  Extension* extensions;
  Version version;
  const void* internal;
  void* (*create_error)(ErrorArguments* arguments);
};

struct Buffer {
  std::size_t size;
  Extension* extensions;
  std::int32_t dtype;
  void* data;
  std::int64_t rank;
  std::int64_t* dims;
};

struct Buffers {
  std::size_t size;
  Extension* extensions;
  std::int64_t count;
  std::int32_t* kinds;
  Buffer** items;
};

struct CallFrame {
  std::size_t size;
  Extension* extensions;
  const Api* api;
  void* context;
  std::int32_t stage;
  Buffers arguments;
  Buffers results;
};

// Bytes of an element; 0 where we have nothing like it.
Py_ssize_t item_size(std::int32_t dtype) {
  switch (dtype) {
    case 1:  // PRED
    case 2:  // S8
    case 6:  // U8
      return 1;
    case 3:   // S16
    case 7:   // U16
    case 10:  // F16
    case 16:  // BF16
      return 2;
    case 4:   // S32
    case 8:   // U32
    case 11:  // F32
      return 4;
    case 5:   // S64
    case 9:   // U64
    case 12:  // F64
      return 8;
    default:
      return 0;
  }
}

}  // namespace xla

// The Python function that is called. Programs may outlive everything else: never deleted.
py::object& receiver() {
  static auto* object = new py::object();
  return *object;
}

py::object view_of(const xla::Buffer& buffer, bool writable) {
  static char nothing = 0;
  Py_ssize_t bytes = xla::item_size(buffer.dtype);
  if (bytes == 0) throw TypeError(cat("[jax] XLA's dtype ", buffer.dtype, " is not known here"));
  for (std::int64_t i = 0; i < buffer.rank; ++i) bytes *= buffer.dims[i];
  char* data = bytes > 0 ? static_cast<char*>(buffer.data) : &nothing;
  PyObject* view = PyMemoryView_FromMemory(data, bytes, writable ? PyBUF_WRITE : PyBUF_READ);
  if (!view) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(view);
}

py::list views_of(const xla::Buffers& buffers, std::int64_t from, bool writable) {
  py::list out;
  for (std::int64_t i = from; i < buffers.count; ++i) {
    out.append(view_of(*buffers.items[i], writable));
  }
  return out;
}

// What Python would print.
std::string text_of(const py::error_already_set& error) {
  try {
    const py::object format = py::module_::import("traceback").attr("format_exception");
    return py::str("")
        .attr("join")(format(error.type(), error.value(), error.trace()))
        .cast<std::string>();
  } catch (const std::exception& other) {
    return other.what();
  }
}

// The first argument is a number that says what is called; what went wrong, or nothing.
std::string call(const xla::CallFrame& frame) {
  if (frame.arguments.count == 0 || frame.arguments.items[0]->dtype != 8) {
    return "[jax] a call without a number";
  }
  const auto number = *static_cast<const std::uint32_t*>(frame.arguments.items[0]->data);
  try {
    receiver()(number, views_of(frame.arguments, 1, false), views_of(frame.results, 0, true));
  } catch (const py::error_already_set& error) {
    return text_of(error);
  } catch (const std::exception& error) {
    return error.what();
  }
  return {};
}

void* describe(xla::MetadataExtension& extension, const xla::Api* api) {
  xla::Metadata& metadata = *extension.metadata;
  const bool known = api && api->version.major == xla::kMajor;
  metadata.version.major = xla::kMajor;
  metadata.version.minor = known ? api->version.minor : xla::kMinor;
  metadata.traits = 0;
  return nullptr;
}

// A thread that wants the lock while Python ends is ended, in the middle of what it does. So Python
// waits for the calls that have begun, and there are no new ones.
class Calls {
 public:
  bool begin() {
    ++running_;
    if (!closed_) return true;
    end();
    return false;
  }
  void end() { --running_; }

  void close() {
    closed_ = true;
    if (getpid() != process_) return;  // a child process has not the threads
    const ReleaseGil released;
    constexpr int kMilliseconds = 30'000;
    for (int i = 0; i < kMilliseconds && running_ > 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

 private:
  const pid_t process_ = getpid();
  std::atomic<int> running_{0};
  std::atomic<bool> closed_{false};
};

Calls& calls() {
  static auto* object = new Calls();
  return *object;
}

void* handle(xla::CallFrame* frame) {
  if (frame->extensions && frame->extensions->type == xla::kMetadata) {
    return describe(*reinterpret_cast<xla::MetadataExtension*>(frame->extensions), frame->api);
  }
  if (frame->stage != xla::kExecute) return nullptr;
  std::string failure = "[jax] Python has ended";
  if (calls().begin()) {
    {
      const HoldGil gil;
      failure = call(*frame);
    }
    calls().end();
  }
  if (failure.empty()) return nullptr;
  xla::ErrorArguments arguments{};
  arguments.size = offsetof(xla::ErrorArguments, code) + sizeof(arguments.code);
  arguments.message = failure.c_str();
  arguments.code = xla::kInternal;
  return frame->api->create_error(&arguments);
}

}  // namespace

void bind_xla_call(py::module_& m) {
  m.def(
      "xla_call_target",
      [](py::object call) {
        receiver() = std::move(call);
        calls();
        return py::capsule(reinterpret_cast<void*>(&handle), "xla._CUSTOM_CALL_TARGET");
      },
      py::arg("call"),
      "What XLA is given to have ``call(number, given, wanted)`` called: the first argument of the "
      "call, a uint32, then the memory of the other arguments and of the results.");
  m.def(
      "xla_close", [] { calls().close(); },
      "Waits for calls that have begun; later ones fail. For the end of Python.");
}

}  // namespace chainrule::python
