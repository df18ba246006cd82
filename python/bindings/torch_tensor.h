#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>

#include "dlpack_types.h"

namespace chainrule::python {

// Sees PyTorch's tensors through its C functions whose ABI stays from version to version
// (torch/csrc/inductor/aoti_torch/c/shim.h): a third of the time of the same by DLPack.
//
// They take the address of the C++ tensor, which lies within its Python object. Where, is looked
// for once, in a tensor made for this, and what is read of that one is compared with what DLPack
// says; where any of it is missing or different, `usable` is false.
class TorchTensorReader {
 public:
  using ReadAnyTensor = int (*)(void* object, dlpack::Tensor* out);

  // `type` is PyTorch's tensor class and `plain` a tuple of classes whose objects are what their
  // C++ tensors are, with nothing that Python adds.
  TorchTensorReader(const pybind11::object& type, pybind11::tuple plain, ReadAnyTensor by_dlpack);

  bool usable() const { return offset_ > 0; }
  // As DLPack's `tensor_from_object`; false for what has to be asked of DLPack.
  bool read(PyObject* tensor, dlpack::Tensor* out) const;

 private:
  template <typename T>
  using Get = std::int32_t (*)(void* tensor, T* out);  // not 0 after an error

  bool find_functions();
  bool is_plain(PyObject* tensor) const;
  bool sees_as(ReadAnyTensor by_dlpack, PyObject* tensor) const;

  pybind11::tuple plain_;
  std::size_t offset_ = 0;  // of the C++ tensor
  bool cuda_ = false;       // what PyTorch calls so is CUDA
  Get<std::int32_t> get_device_type_ = nullptr;
  Get<std::int32_t> get_device_index_ = nullptr;
  Get<std::int32_t> get_layout_ = nullptr;
  Get<std::int32_t> get_dtype_ = nullptr;
  Get<std::int64_t> get_dim_ = nullptr;
  Get<std::int64_t*> get_sizes_ = nullptr;
  Get<std::int64_t*> get_strides_ = nullptr;
  Get<void*> get_data_ = nullptr;
  std::int32_t device_cpu_ = 0;
  std::int32_t device_cuda_ = 0;
  std::int32_t layout_strided_ = 0;
  struct KnownDtype {
    std::int32_t number;  // PyTorch's
    dlpack::DataType type;
  };
  KnownDtype dtypes_[4] = {};
};

}  // namespace chainrule::python
