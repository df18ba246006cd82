#include "cuda_interface.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "chainrule/core/error.h"
#include "device_memory.h"
#include "dims.h"
#include "errors.h"
#include "gil.h"
#include "numpy_array.h"

namespace py = pybind11;

namespace chainrule::python {
namespace {

constexpr char kName[] = "__cuda_array_interface__";

// As the protocol writes dtypes; empty for bfloat16, which it lacks.
std::string type_text(Dtype dtype) {
  // By DLPack's codes.
  constexpr char kLetters[] = {'i', 'u', 'f', 0, 0, 0, 'b'};
  const char letter = kLetters[dlpack::type_of(dtype).code];
  const auto bytes = item_size(dtype);
  return letter ? cat(bytes == 1 ? '|' : '<', letter, bytes) : std::string();
}

std::optional<Dtype> dtype_of_text(const std::string& text) {
  for (int i = 0; i < kDtypeCount; ++i) {
    const std::string known = type_text(static_cast<Dtype>(i));
    // Some write an order of bytes also where there is one byte.
    if (known.empty() || text.size() != known.size() || text[0] == '>') continue;
    if (text.substr(1) == known.substr(1)) return static_cast<Dtype>(i);
  }
  return std::nullopt;
}

// The protocol leaves lifetimes to the object that was asked: whoever looked at a variable's
// memory keeps the variable. What it has shown stays as long as it does, whatever array it is
// given later. With the interpreter's lock.
void keep_with(py::handle variable, const Ref<Storage>& storage) {
  static auto* kept = new std::map<PyObject*, std::vector<Ref<Storage>>>;
  auto [place, is_new] = kept->try_emplace(variable.ptr());
  std::vector<Ref<Storage>>& shown = place->second;
  if (std::find_if(shown.begin(), shown.end(), [&](const Ref<Storage>& one) {
        return one.get() == storage.get();
      }) != shown.end()) {
    return;
  }
  shown.push_back(storage);
  if (!is_new) return;
  const py::cpp_function forget([key = variable.ptr()](py::handle reference) {
    const auto last = kept->extract(key);  // storages may run Python code: not inside the map
    reference.dec_ref();
  });
  py::weakref(variable, forget).release();
}

py::dict show(const py::object& self) {
  const Array& array = variable_or_null(self)->data();
  if (!array.defined()) throw py::attribute_error(cat(kName, ": the variable has no array yet"));
  const Device device = array.device();
  if (device.kind != DeviceKind::cuda) {
    throw py::attribute_error(
        cat(kName, ": the array is on the CPU: numpy.asarray and DLPack see it there"));
  }
  const std::string type = type_text(array.dtype());
  if (type.empty()) {
    throw py::attribute_error(cat(kName, ": the protocol has no ", array.dtype(), ": use DLPack"));
  }
  const bool read_only = !array.writeable() || array.has_repeats();
  py::dict out;
  out["shape"] = shape_to_python(array.shape());
  out["typestr"] = type;
  out["data"] = py::make_tuple(
      array.size() ? reinterpret_cast<std::uintptr_t>(array.raw()) : std::uintptr_t{0}, read_only);
  out["version"] = 3;
  out["strides"] =
      array.is_contiguous() ? py::object(py::none()) : shape_to_python(array.strides());
  out["stream"] = dlpack::stream_of(device.index);
  keep_with(self, array.storage());
  return out;
}

// What keeps the other library's object, until the work on its memory is done.
struct Kept {
  py::object object;
  int device;
  bool wait;
};

py::object keep(Kept kept) {
  auto owned = std::make_unique<Kept>(std::move(kept));
  py::capsule out(owned.get(), [](void* pointer) {
    const std::unique_ptr<Kept> last(static_cast<Kept*>(pointer));
    if (last->wait) drain_device(last->device, false);
  });
  static_cast<void>(owned.release());
  return out;
}

// Makes our stream wait for what the other library has yet to do. True where that library's
// stream is one that ours does not wait for by itself.
bool take_over(int device, const py::dict& found, const char* op) {
  const int version = found.contains("version") ? found["version"].cast<int>() : 0;
  if (version < 3) {  // nobody says where the work is
    drain_device(device, true);
    return true;
  }
  const py::object stream = found.contains("stream") ? py::object(found["stream"]) : py::none();
  if (stream.is_none()) return true;  // there is nothing to wait for
  const auto number = stream.cast<std::int64_t>();
  if (number <= 0) {
    throw ValueError(cat("[", op, "] ", kName, ": stream: got ", number,
                         ", expected None, 1, 2 or a stream's address"));
  }
  cuda::stream_wait(device, cuda::stream(device), reinterpret_cast<void*>(number));
  return number != dlpack::kLegacyStream && number != dlpack::kThreadStream;
}

Array array_of_description(const py::object& object, const py::dict& found, const char* op) {
  if (found.contains("mask") && !found["mask"].is_none()) {
    throw TypeError(cat("[", op, "] ", kName, ": got an array with a mask, expected one without"));
  }
  const auto text = found["typestr"].cast<std::string>();
  const auto dtype = dtype_of_text(text);
  if (!dtype) {
    throw TypeError(cat("[", op, "] ", kName, ": dtype not supported: got ", text,
                        ", expected bool, (u)int8 to int64, float16, float32 or float64; bfloat16 "
                        "comes with Variable.from_dlpack"));
  }
  const py::tuple sizes = found["shape"];
  if (sizes.size() > kMaxDims) {
    throw ValueError(cat("[", op, "] ", kName, ": too many dimensions: got ", sizes.size(),
                         ", expected at most ", kMaxDims));
  }
  const auto shape = sizes.cast<Dims>();
  const int item = static_cast<int>(item_size(*dtype));
  const std::int64_t size = element_count(shape);
  const auto [address, read_only] = found["data"].cast<std::pair<std::uintptr_t, bool>>();
  if (size == 0) {
    if (const std::string problem = problem_with({dlpack::kCuda, 0}); !problem.empty()) {
      throw py::buffer_error(cat("[", op, "] got memory on device ", problem));
    }
    return Array(shape, *dtype, Device{DeviceKind::cuda, 0});
  }
  const cuda::Status status = cuda::status();
  if (!status.available) {
    throw py::buffer_error(
        cat("[", op, "] got memory of a CUDA device, which cannot be used: ", status.reason));
  }
  auto* data = reinterpret_cast<std::byte*>(address);
  const int device = cuda::memory_device(data);
  if (device < 0) {
    throw py::buffer_error(
        cat("[", op, "] ", kName, ": the memory at ", data, " is no CUDA device's"));
  }
  if (address % static_cast<std::uintptr_t>(item) != 0) {
    throw py::buffer_error(
        cat("[", op, "] ", kName, ": the memory is not aligned to the size of an element"));
  }
  const bool strided = found.contains("strides") && !found["strides"].is_none();
  const Strides strides = strided ? found["strides"].cast<Dims>() : contiguous_strides(shape, item);
  if (strides.size() != shape.size()) {
    throw ValueError(
        cat("[", op, "] ", kName, ": strides: got ", strides, " for the shape ", shape));
  }
  cuda::require(device);
  const bool wait = take_over(device, found, op);
  py::object holder = keep({object, device, wait});
  auto storage =
      Storage::adopt(data, size * item, {DeviceKind::cuda, static_cast<std::int8_t>(device)},
                     !read_only, HostObject(holder.release().ptr()));
  return Array(std::move(storage), data, shape, strides, *dtype);
}

// Null where there is none. Numbers and lists are asked as well, and making an error of their
// answer would take longer than the operation they are for.
py::object description_of(py::handle object) {
  static PyObject* name = PyUnicode_InternFromString(kName);
  PyObject* found = nullptr;
#if PY_VERSION_HEX >= 0x030D0000
  const int status = PyObject_GetOptionalAttr(object.ptr(), name, &found);
#else
  const int status = _PyObject_LookupAttr(object.ptr(), name, &found);
#endif
  if (status < 0) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(found);
}

}  // namespace

std::optional<Array> from_cuda_interface(py::handle object, const char* op) {
  const py::object found = description_of(object);
  if (!found) return std::nullopt;
  if (!py::isinstance<py::dict>(found)) {
    throw TypeError(cat("[", op, "] ", kName, ": got ", type_name(found), ", expected a dict"));
  }
  const auto description = py::reinterpret_borrow<py::dict>(found);
  for (const char* key : {"shape", "typestr", "data"}) {
    if (!description.contains(key)) {
      throw ValueError(cat("[", op, "] ", kName, ": it has no '", key, "'"));
    }
  }
  return array_of_description(py::reinterpret_borrow<py::object>(object), description, op);
}

void bind_cuda_interface(VariableClass& variable) {
  variable.def_property_readonly(
      kName, &show,
      "The memory on a CUDA device as version 3 of the CUDA array interface tells of it: a dict\n"
      "with its address, shape, strides and dtype, and the stream that has to be waited for. Not\n"
      "there on the CPU, nor for bfloat16, which the protocol lacks.");
}

}  // namespace chainrule::python
