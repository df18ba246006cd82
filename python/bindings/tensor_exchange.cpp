#include "tensor_exchange.h"

#include <algorithm>
#include <tuple>
#include <vector>

#include <pybind11/stl.h>

namespace py = pybind11;

namespace chainrule::python {
namespace {

constexpr std::uint32_t kMajor = 1;

const dlpack::Exchange* find_exchange(const py::object& type) {
  if (!py::hasattr(type, "__dlpack_c_exchange_api__")) return nullptr;
  const py::object capsule = type.attr("__dlpack_c_exchange_api__");
  const auto* found = static_cast<const dlpack::Exchange*>(
      PyCapsule_GetPointer(capsule.ptr(), "dlpack_exchange_api"));
  if (!found) PyErr_Clear();
  while (found && found->version.major > kMajor) found = found->previous;
  return found && found->version.major == kMajor && found->tensor_from_object ? found : nullptr;
}

// Tensors of tensors, and those that only pretend, have no memory.
bool is_empty(const dlpack::Tensor& tensor) {
  return std::find(tensor.shape, tensor.shape + tensor.ndim, 0) != tensor.shape + tensor.ndim;
}

}  // namespace

TensorReader::TensorReader(const py::object& type, py::tuple plain, py::object describe)
    : exchange_(find_exchange(type)),
      torch_(type, std::move(plain), exchange_ ? exchange_->tensor_from_object : nullptr),
      describe_(std::move(describe)) {}

bool TensorReader::read(PyObject* tensor, dlpack::Tensor* out) {
  return describe(tensor, out) && out->ndim <= kMaxDims && (out->data || is_empty(*out));
}

bool TensorReader::describe(PyObject* tensor, dlpack::Tensor* out) {
  if (exchange_) {
    if (torch_.usable() && torch_.read(tensor, out)) return true;
    if (exchange_->tensor_from_object(tensor, out) == 0) return true;
    PyErr_Clear();
    return false;
  }
  const py::object found = describe_(py::handle(tensor));
  if (found.is_none()) return false;
  using Lengths = std::vector<std::int64_t>;
  const auto [address, shape, strides, device, code, bits] =
      found.cast<std::tuple<std::uintptr_t, Lengths, Lengths, std::pair<int, int>, int, int>>();
  if (shape.size() > kMaxDims || strides.size() != shape.size()) return false;
  shape_ = Dims(shape.data(), static_cast<int>(shape.size()));
  strides_ = Dims(strides.data(), static_cast<int>(strides.size()));
  *out = {};
  out->data = reinterpret_cast<void*>(address);
  out->device = {device.first, device.second};
  out->ndim = shape_.size();
  out->dtype.code = static_cast<std::uint8_t>(code);
  out->dtype.bits = static_cast<std::uint8_t>(bits);
  out->dtype.lanes = 1;
  out->shape = shape_.begin();
  out->strides = strides_.begin();
  return true;
}

void AttributeReader::find(PyTypeObject* type) {
  const auto object = py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(type));
  get_ = nullptr;
  type_ = object;
  if (type->tp_getattro != PyObject_GenericGetAttr) return;
  // A descriptor of this kind comes before what lies in the object's own dict.
  const py::object found = py::getattr(object, name_, py::none());
  if (!Py_IS_TYPE(found.ptr(), &PyGetSetDescr_Type)) return;
  const auto* descriptor = reinterpret_cast<PyGetSetDescrObject*>(found.ptr());
  if (!PyType_IsSubtype(type, PyDescr_TYPE(descriptor))) return;
  get_ = descriptor->d_getset->get;  // lives as long as the class
  closure_ = descriptor->d_getset->closure;
}

}  // namespace chainrule::python
