#include <optional>
#include <utility>

#include "chainrule/backend/elementwise.h"
#include "chainrule/backend/transfer.h"
#include "device_memory.h"
#include "dlpack.h"
#include "dlpack_capsule.h"
#include "errors.h"
#include "gil.h"

namespace py = pybind11;

namespace chainrule::python {
namespace {

using dlpack::ManagedTensor;
using dlpack::ManagedTensorVersioned;

// Takes a tensor out of its capsule. What comes back holds it, and lets it go with the lock held.
template <class Managed>
py::object consume(const py::object& capsule, Managed** out) {
  auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(capsule.ptr(), Managed::name));
  if (!managed || PyCapsule_SetName(capsule.ptr(), Managed::used) != 0) {
    throw py::error_already_set();
  }
  PyObject* holder = PyCapsule_New(managed, nullptr, [](PyObject* self) {
    auto* held = static_cast<Managed*>(PyCapsule_GetPointer(self, nullptr));
    // The other library may hand the memory out again at once, on a stream of its own.
    if (dlpack::is_cuda(held->tensor.device)) drain_device(held->tensor.device.id, false);
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
  if (const std::string problem = problem_with(tensor.device); !problem.empty()) {
    throw py::buffer_error(cat("[from_dlpack] got memory on device ", problem));
  }
  const Device device = device_from_dlpack(tensor.device);
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
  for (std::int32_t i = 0; i < tensor.ndim; ++i) {
    shape.push_back(tensor.shape[i]);
    strides.push_back(tensor.strides ? item * tensor.strides[i] : 0);
  }
  const std::int64_t size = element_count(shape);
  if (!tensor.strides) strides = contiguous_strides(shape, static_cast<int>(item));
  if (size == 0) return Array(shape, *dtype, device);
  auto* data = static_cast<std::byte*>(tensor.data) + (tensor.data ? tensor.byte_offset : 0);
  if (reinterpret_cast<std::uintptr_t>(data) % static_cast<std::uintptr_t>(item) != 0) {
    throw py::buffer_error("[from_dlpack] the memory is not aligned to the size of an element");
  }
  auto storage =
      Storage::adopt(data, size * item, device, writeable, HostObject(holder.release().ptr()));
  return Array(std::move(storage), data, shape, strides, *dtype);
}

Array array_in(const py::object& capsule, bool writeable) {
  if (PyCapsule_IsValid(capsule.ptr(), ManagedTensorVersioned::name)) {
    ManagedTensorVersioned* managed = nullptr;
    py::object holder = consume(capsule, &managed);
    if (managed->major != 1) {
      throw py::buffer_error(cat("[from_dlpack] version: got ", managed->major, ".", managed->minor,
                                 ", expected 1.x"));
    }
    writeable = writeable && !(managed->flags & dlpack::kReadOnly);
    return array_on(managed->tensor, writeable, std::move(holder));
  }
  if (PyCapsule_IsValid(capsule.ptr(), ManagedTensor::name)) {
    ManagedTensor* managed = nullptr;
    py::object holder = consume(capsule, &managed);
    return array_on(managed->tensor, writeable, std::move(holder));
  }
  const bool is_capsule = PyCapsule_CheckExact(capsule.ptr());
  throw ValueError(is_capsule ? "[from_dlpack] the capsule has been consumed, or is not DLPack's"
                              : "[from_dlpack] got no capsule from __dlpack__");
}

// JAX's arrays never change, which its capsules, of before version 1, cannot tell.
bool is_of_jax(const py::object& x) {
  const auto module = py::str(py::type::of(x).attr("__module__")).cast<std::string>();
  return module.rfind("jax", 0) == 0;
}

dlpack::Device device_named_by(const py::object& x) {
  const py::object given = x.attr("__dlpack_device__")();
  try {
    const auto [type, id] = given.cast<std::pair<int, int>>();
    return {type, id};
  } catch (const py::cast_error&) {
    throw TypeError(cat("[from_dlpack] __dlpack_device__ of ", type_name(x), ": got ",
                        py::repr(given).cast<std::string>(), ", expected a pair of integers"));
  }
}

py::object capsule_of(const py::object& x,
                      const std::optional<Device>& target,
                      std::optional<bool> copy) {
  if (PyCapsule_CheckExact(x.ptr())) return x;
  if (!py::hasattr(x, "__dlpack__") || !py::hasattr(x, "__dlpack_device__")) {
    throw TypeError(cat("[from_dlpack] got ", type_name(x),
                        ", expected an object with __dlpack__ and __dlpack_device__"));
  }
  const dlpack::Device device = device_named_by(x);
  py::dict arguments;
  if (copy) arguments["copy"] = *copy;
  arguments["max_version"] = py::make_tuple(1, 0);
  const std::string problem = problem_with(device);
  if (!problem.empty()) {
    // The other library can still bring it to where we are.
    if (target != Device{} || !copy.value_or(true)) {
      throw py::buffer_error(cat("[from_dlpack] got memory on device ", problem));
    }
    arguments["dl_device"] = py::make_tuple(dlpack::kCpu, 0);
    return x.attr("__dlpack__")(**arguments);
  }
  py::dict least;  // for a library of the time before version 1
  if (dlpack::is_cuda(device)) {
    // The stream that we work on is made to wait for theirs.
    const std::int64_t stream = dlpack::stream_of(device.id);
    arguments["stream"] = stream;
    least["stream"] = stream;
  }
  try {
    return x.attr("__dlpack__")(**arguments);
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_TypeError)) throw;
  }
  return x.attr("__dlpack__")(**least);
}

Ref<VariableImpl> from_dlpack(const py::object& x,
                              const std::optional<std::pair<int, int>>& device,
                              std::optional<bool> copy) {
  std::optional<Device> target;
  if (device) target = device_from_dlpack("from_dlpack", "device", *device);
  const VariableImpl* own = variable_or_null(x);
  Array array = own ? own->data() : array_in(capsule_of(x, target, copy), !is_of_jax(x));
  if (!array.defined()) throw py::buffer_error("[from_dlpack] the variable has no array yet");
  const bool moves = target && array.device() != *target;
  if (moves && !copy.value_or(true)) {
    throw py::buffer_error(cat("[from_dlpack] device: an array on ", array.device(),
                               " is copied to get to ", *target, ": got copy=False"));
  }
  // Whether the other library made a copy is not asked: a second one does no harm.
  if (moves || copy.value_or(false)) {
    const Array source = std::exchange(array, {});
    const ReleaseGil gil(source.size());
    array = moves ? to_device(source, *target) : copied(source);
  }
  return make_ref<VariableImpl>(array, true);
}

}  // namespace

void bind_from_dlpack(VariableClass& variable) {
  variable
      .def_static("_from_dlpack", &from_dlpack, py::arg("x"), py::arg("device") = py::none(),
                  py::arg("copy") = py::none())
      .def_property_readonly("_has_array",
                             [](const VariableImpl& self) { return self.data().defined(); })
      .def(
          "_share",
          [](VariableImpl& self, const VariableImpl& other) { self.set_data(other.data()); },
          py::arg("other"), "Takes the memory of another variable for its data.");
}

}  // namespace chainrule::python
