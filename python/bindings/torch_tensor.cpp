#include "torch_tensor.h"

#include <cstring>
#include <iterator>
#include <utility>

#include <dlfcn.h>

namespace py = pybind11;

namespace chainrule::python {
namespace {

constexpr Dtype kDtypes[] = {Dtype::float32, Dtype::float64, Dtype::bfloat16, Dtype::float16};
constexpr const char* kDtypeNumbers[] = {"aoti_torch_dtype_float32", "aoti_torch_dtype_float64",
                                         "aoti_torch_dtype_bfloat16", "aoti_torch_dtype_float16"};

// A library that PyTorch has opened; it never closes one.
void* opened(const char* name) { return dlopen(name, RTLD_NOW | RTLD_NOLOAD); }

template <typename F>
bool find(void* library, const char* name, F*& out) {
  out = reinterpret_cast<F*>(dlsym(library, name));
  return out != nullptr;
}

bool find_number(void* library, const char* name, std::int32_t& out) {
  std::int32_t (*number)() = nullptr;
  if (!find(library, name, number)) return false;
  out = number();
  return true;
}

// Where in a tensor's Python object the only word is that is its C++ object's address; else 0.
std::size_t offset_of_tensor(const py::object& tensor) {
  if (!py::hasattr(tensor, "_cdata")) return 0;
  const auto address = tensor.attr("_cdata").cast<std::uintptr_t>();
  const auto size = static_cast<std::size_t>(Py_TYPE(tensor.ptr())->tp_basicsize);
  const auto* object = reinterpret_cast<const std::byte*>(tensor.ptr());
  std::size_t found = 0;
  for (std::size_t i = sizeof(PyObject); i + sizeof(address) <= size; i += sizeof(address)) {
    if (std::memcmp(object + i, &address, sizeof(address)) != 0) continue;
    if (found > 0) return 0;
    found = i;
  }
  return found;
}

}  // namespace

TorchTensorReader::TorchTensorReader(const py::object& type,
                                     py::tuple plain,
                                     ReadAnyTensor by_dlpack)
    : plain_(std::move(plain)) {
  if (!by_dlpack || !find_functions()) return;
  py::list row;
  for (const double value : {1.0, 2.0, 3.0}) row.append(value);
  py::list rows;
  for (int i = 0; i < 2; ++i) rows.append(row);
  const py::object tensor = type(rows);
  offset_ = offset_of_tensor(tensor);
  if (usable() && !sees_as(by_dlpack, tensor.ptr())) offset_ = 0;
}

bool TorchTensorReader::find_functions() {
  void* library = opened("libtorch_cpu.so");
  if (!library) return false;
  cuda_ = opened("libtorch_cuda.so") != nullptr;  // ROCm's is called otherwise
  for (std::size_t i = 0; i < std::size(kDtypes); ++i) {
    if (!find_number(library, kDtypeNumbers[i], dtypes_[i].number)) return false;
    dtypes_[i].type = dlpack::type_of(kDtypes[i]);
  }
  return find_number(library, "aoti_torch_device_type_cpu", device_cpu_) &&
         find_number(library, "aoti_torch_device_type_cuda", device_cuda_) &&
         find_number(library, "aoti_torch_layout_strided", layout_strided_) &&
         find(library, "aoti_torch_get_device_type", get_device_type_) &&
         find(library, "aoti_torch_get_device_index", get_device_index_) &&
         find(library, "aoti_torch_get_layout", get_layout_) &&
         find(library, "aoti_torch_get_dtype", get_dtype_) &&
         find(library, "aoti_torch_get_dim", get_dim_) &&
         find(library, "aoti_torch_get_sizes", get_sizes_) &&
         find(library, "aoti_torch_get_strides", get_strides_) &&
         find(library, "aoti_torch_get_data_ptr", get_data_);
}

bool TorchTensorReader::is_plain(PyObject* tensor) const {
  const auto* type = reinterpret_cast<PyObject*>(Py_TYPE(tensor));
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(plain_.ptr()); ++i) {
    if (PyTuple_GET_ITEM(plain_.ptr(), i) == type) return true;
  }
  return false;
}

bool TorchTensorReader::read(PyObject* object, dlpack::Tensor* out) const {
  if (!is_plain(object)) return false;
  void* tensor = reinterpret_cast<std::byte*>(object) + offset_;
  std::int32_t layout = 0;
  std::int32_t device = 0;
  std::int32_t dtype = 0;
  std::int64_t dim = 0;
  if (get_layout_(tensor, &layout) != 0 || layout != layout_strided_) return false;
  if (get_device_type_(tensor, &device) != 0 || get_dtype_(tensor, &dtype) != 0) return false;
  if (device == device_cpu_) {
    out->device = {dlpack::kCpu, 0};
  } else if (device == device_cuda_ && cuda_) {
    out->device.type = dlpack::kCuda;
    if (get_device_index_(tensor, &out->device.id) != 0) return false;
  } else {
    return false;
  }
  const auto* known = std::begin(dtypes_);
  while (known != std::end(dtypes_) && known->number != dtype) ++known;
  if (known == std::end(dtypes_)) return false;
  out->dtype = known->type;
  out->byte_offset = 0;
  if (get_dim_(tensor, &dim) != 0) return false;
  out->ndim = static_cast<std::int32_t>(dim);
  return get_sizes_(tensor, &out->shape) == 0 && get_strides_(tensor, &out->strides) == 0 &&
         get_data_(tensor, &out->data) == 0;
}

bool TorchTensorReader::sees_as(ReadAnyTensor by_dlpack, PyObject* tensor) const {
  dlpack::Tensor a{};
  dlpack::Tensor b{};
  if (!read(tensor, &a) || by_dlpack(tensor, &b) != 0) {
    PyErr_Clear();
    return false;
  }
  if (a.ndim != b.ndim || a.data != static_cast<std::byte*>(b.data) + b.byte_offset) return false;
  for (int i = 0; i < a.ndim; ++i) {
    if (a.shape[i] != b.shape[i] || a.strides[i] != b.strides[i]) return false;
  }
  return a.device.type == b.device.type && a.dtype.code == b.dtype.code &&
         a.dtype.bits == b.dtype.bits;
}

}  // namespace chainrule::python
