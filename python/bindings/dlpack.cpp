#include "dlpack.h"

#include <cstring>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "chainrule/backend/elementwise.h"
#include "dlpack_types.h"
#include "errors.h"

namespace py = pybind11;

namespace chainrule::python {
namespace {

// The old form, which cannot tell what is read-only.
struct DLManagedTensor {
  dlpack::Tensor tensor;
  void* context;
  void (*deleter)(DLManagedTensor* self);

  static constexpr const char* name = "dltensor";
  static constexpr const char* used = "used_dltensor";
};

struct DLManagedTensorVersioned {
  std::uint32_t major;
  std::uint32_t minor;
  void* context;
  void (*deleter)(DLManagedTensorVersioned* self);
  std::uint64_t flags;
  dlpack::Tensor tensor;

  static constexpr const char* name = "dltensor_versioned";
  static constexpr const char* used = "used_dltensor_versioned";
};

constexpr std::uint64_t kReadOnly = 1;
constexpr std::uint64_t kIsCopied = 2;

dlpack::Device device_of(const Array& array) {
  if (!array.defined()) return {dlpack::kCpu, 0};
  const Device device = array.device();
  return {device.kind == DeviceKind::cpu ? dlpack::kCpu : dlpack::kCuda, device.index};
}

// An array on its way out; lives until the consumer is done with it.
template <class Managed>
struct Exported {
  Managed managed{};
  Array array;
  std::int64_t shape[kMaxDims];
  std::int64_t strides[kMaxDims];
};

// Lets go of a tensor that nobody has consumed.
template <class Managed>
void destroy_capsule(PyObject* capsule) {
  if (!PyCapsule_IsValid(capsule, Managed::name)) return;
  auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(capsule, Managed::name));
  if (managed->deleter) managed->deleter(managed);
}

template <class Managed>
py::object export_as(const Array& array, std::uint64_t flags) {
  auto out = std::make_unique<Exported<Managed>>();
  out->array = array;
  const std::int64_t item = item_size(array.dtype());
  for (int i = 0; i < array.ndim(); ++i) {
    out->shape[i] = array.shape()[i];
    // Where there is nothing to step over, any stride will do.
    const std::int64_t stride = array.shape()[i] > 1 ? array.strides()[i] : item;
    if (stride % item != 0) {
      throw py::buffer_error(cat("[dlpack] a stride of ", stride, " bytes is no multiple of ", item,
                                 ", the size of an element: ask for a copy"));
    }
    out->strides[i] = stride / item;
  }
  Managed& managed = out->managed;
  managed.tensor = {array.raw(),
                    device_of(array),
                    array.ndim(),
                    dlpack::type_of(array.dtype()),
                    out->shape,
                    out->strides,
                    0};
  managed.context = out.get();
  // Whatever thread calls it: what keeps Python objects takes the lock.
  managed.deleter = [](Managed* self) { delete static_cast<Exported<Managed>*>(self->context); };
  if constexpr (std::is_same_v<Managed, DLManagedTensorVersioned>) {
    managed.major = 1;
    managed.minor = 0;
    managed.flags = flags;
  }
  PyObject* capsule = PyCapsule_New(&managed, Managed::name, destroy_capsule<Managed>);
  if (!capsule) throw py::error_already_set();
  static_cast<void>(out.release());
  return py::reinterpret_steal<py::object>(capsule);
}

py::object to_dlpack(const VariableImpl& self,
                     const py::object& stream,
                     const std::optional<std::pair<int, int>>& max_version,
                     const std::optional<std::pair<int, int>>& device,
                     std::optional<bool> copy) {
  Array array = self.data();
  if (!array.defined()) throw py::buffer_error("[dlpack] the variable has no array yet");
  const dlpack::Device own = device_of(array);
  if (own.type != dlpack::kCpu) {
    throw py::buffer_error(cat("[dlpack] got an array on ", array.device(), ", expected the CPU"));
  }
  if (!stream.is_none()) {
    throw py::buffer_error("[dlpack] stream: the CPU has none, expected None");
  }
  if (device && (device->first != dlpack::kCpu || device->second != 0)) {
    throw py::buffer_error(cat("[dlpack] dl_device: got (", device->first, ", ", device->second,
                               "), expected (1, 0), the CPU"));
  }
  std::uint64_t flags = 0;
  if (copy.value_or(false)) {
    array = copied(array);
    flags = kIsCopied;
  } else if (array.size() != 0 && (!array.writeable() || array.has_repeats())) {
    flags = kReadOnly;
  }
  if (max_version && max_version->first >= 1) {
    return export_as<DLManagedTensorVersioned>(array, flags);
  }
  if (flags & kReadOnly) {
    throw py::buffer_error(
        "[dlpack] the array is read-only, which DLPack before version 1 cannot tell: ask for a "
        "copy");
  }
  return export_as<DLManagedTensor>(array, flags);
}

// Takes a tensor out of its capsule. What comes back holds it, and lets it go with the lock held.
template <class Managed>
py::object consume(const py::object& capsule, Managed** out) {
  auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(capsule.ptr(), Managed::name));
  if (!managed || PyCapsule_SetName(capsule.ptr(), Managed::used) != 0) {
    throw py::error_already_set();
  }
  PyObject* holder = PyCapsule_New(managed, nullptr, [](PyObject* self) {
    auto* held = static_cast<Managed*>(PyCapsule_GetPointer(self, nullptr));
    if (held->deleter) held->deleter(held);
  });
  if (!holder) {
    if (managed->deleter) managed->deleter(managed);
    throw py::error_already_set();
  }
  *out = managed;
  return py::reinterpret_steal<py::object>(holder);
}

Array array_on(const dlpack::Tensor& tensor, bool writeable, py::object holder) {
  if (tensor.device.type != dlpack::kCpu && tensor.device.type != dlpack::kCudaHost) {
    throw py::buffer_error(cat("[from_dlpack] got memory on device (", tensor.device.type, ", ",
                               tensor.device.id, "), expected the CPU's"));
  }
  const auto dtype = dlpack::dtype_of(tensor.dtype);
  if (!dtype) {
    throw TypeError(cat("[from_dlpack] dtype not supported: got DLPack's code ",
                        static_cast<int>(tensor.dtype.code), " of ",
                        static_cast<int>(tensor.dtype.bits), " bits in ", tensor.dtype.lanes,
                        " lanes, expected bool, (u)int8 to int64, float16, bfloat16, float32 or "
                        "float64"));
  }
  if (tensor.ndim < 0 || tensor.ndim > kMaxDims) {
    throw ValueError(cat("[from_dlpack] too many dimensions: got ", tensor.ndim,
                         ", expected at most ", kMaxDims));
  }
  const std::int64_t item = item_size(*dtype);
  Shape shape;
  Strides strides;
  std::int64_t size = 1;
  for (std::int32_t i = 0; i < tensor.ndim; ++i) {
    shape.push_back(tensor.shape[i]);
    strides.push_back(tensor.strides ? item * tensor.strides[i] : 0);
    size *= tensor.shape[i];
  }
  if (!tensor.strides) {
    std::int64_t step = item;
    for (int i = tensor.ndim - 1; i >= 0; --i) {
      strides[i] = step;
      step *= shape[i];
    }
  }
  auto* data = static_cast<std::byte*>(tensor.data) + (tensor.data ? tensor.byte_offset : 0);
  if (size == 0) return Array(shape, *dtype);
  if (reinterpret_cast<std::uintptr_t>(data) % static_cast<std::uintptr_t>(item) != 0) {
    throw py::buffer_error("[from_dlpack] the memory is not aligned to the size of an element");
  }
  auto storage =
      Storage::adopt(data, size * item, Device{}, writeable, HostObject(holder.release().ptr()));
  return Array(std::move(storage), data, shape, strides, *dtype);
}

Array array_in(const py::object& capsule) {
  if (PyCapsule_IsValid(capsule.ptr(), DLManagedTensorVersioned::name)) {
    DLManagedTensorVersioned* managed = nullptr;
    py::object holder = consume(capsule, &managed);
    if (managed->major != 1) {
      throw py::buffer_error(cat("[from_dlpack] version: got ", managed->major, ".", managed->minor,
                                 ", expected 1.x"));
    }
    return array_on(managed->tensor, !(managed->flags & kReadOnly), std::move(holder));
  }
  if (PyCapsule_IsValid(capsule.ptr(), DLManagedTensor::name)) {
    DLManagedTensor* managed = nullptr;
    py::object holder = consume(capsule, &managed);
    return array_on(managed->tensor, true, std::move(holder));
  }
  const bool is_capsule = PyCapsule_CheckExact(capsule.ptr());
  throw ValueError(is_capsule ? "[from_dlpack] the capsule has been consumed, or is not DLPack's"
                              : "[from_dlpack] got no capsule from __dlpack__");
}

py::object capsule_of(const py::object& x, std::optional<bool> copy) {
  if (PyCapsule_CheckExact(x.ptr())) return x;
  if (!py::hasattr(x, "__dlpack__") || !py::hasattr(x, "__dlpack_device__")) {
    throw TypeError(cat("[from_dlpack] got ",
                        py::str(py::type::of(x).attr("__name__")).cast<std::string>(),
                        ", expected an object with __dlpack__ and __dlpack_device__"));
  }
  const auto device = x.attr("__dlpack_device__")().cast<std::pair<int, int>>();
  if (device.first != dlpack::kCpu && device.first != dlpack::kCudaHost) {
    throw py::buffer_error(cat("[from_dlpack] got memory on device (", device.first, ", ",
                               device.second, "), expected the CPU's, device type 1"));
  }
  py::dict arguments;
  arguments["max_version"] = py::make_tuple(1, 0);
  if (copy) arguments["copy"] = *copy;
  try {
    return x.attr("__dlpack__")(**arguments);
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_TypeError)) throw;
  }
  return x.attr("__dlpack__")();  // a library of the time before version 1
}

Ref<VariableImpl> from_dlpack(const py::object& x, std::optional<bool> copy) {
  Array array = array_in(capsule_of(x, copy));
  // Whether the other library made a copy is not asked: a second one does no harm.
  if (copy.value_or(false)) array = copied(array);
  return make_ref<VariableImpl>(array, true);
}

}  // namespace

void bind_dlpack(VariableClass& variable) {
  variable
      .def(
          "__dlpack__", &to_dlpack, py::kw_only(), py::arg("stream") = py::none(),
          py::arg("max_version") = py::none(), py::arg("dl_device") = py::none(),
          py::arg("copy") = py::none(),
          "Gives the data to another library as DLPack's protocol says: without a copy, unless\n"
          "``copy`` is true. The memory lives as long as the other side needs it.\n\n"
          "Args:\n"
          "    stream: None; the CPU has no streams.\n"
          "    max_version: The newest version that the other side understands. Before ``(1, 0)``\n"
          "        nothing read-only can be given.\n"
          "    dl_device: None, or ``(1, 0)``, the CPU.\n"
          "    copy: Whether to copy.\n\n"
          "Returns:\n"
          "    A capsule.\n\n"
          "Raises:\n"
          "    BufferError: If it cannot be given so.")
      .def(
          "__dlpack_device__",
          [](const VariableImpl& self) {
            const dlpack::Device device = device_of(self.data());
            return std::pair(device.type, device.id);
          },
          "The device that the data lie on, as DLPack numbers them: ``(1, 0)`` is the CPU.")
      .def_static("_from_dlpack", &from_dlpack, py::arg("x"), py::arg("copy") = py::none());
}

}  // namespace chainrule::python
