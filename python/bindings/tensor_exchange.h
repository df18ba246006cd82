#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>

#include "chainrule/core/shape.h"
#include "dlpack_types.h"
#include "torch_tensor.h"

namespace chainrule::python {

// DLPack's C exchange interface (dlpack.h, version 1.3), as far as it is used here: a library
// offers `type.__dlpack_c_exchange_api__`, a capsule with functions that describe a tensor
// without making objects.
namespace dlpack {

struct Version {
  std::uint32_t major;
  std::uint32_t minor;
};

struct Exchange {
  Version version;
  Exchange* previous;
  void* allocate;
  void* managed_from_object;
  void* managed_to_object;
  int (*tensor_from_object)(void* object, Tensor* out);
  void* current_stream;
};

}  // namespace dlpack

// How to see the memory of another library's tensors.
class TensorReader {
 public:
  // `type` is the library's tensor class. Where it has no C interface of a known version,
  // `describe(tensor)` is called; it gives (address, shape, strides in elements, (device type,
  // number), type code, bits), the last three as DLPack numbers them. Objects of the classes
  // `plain` are tensors to which Python adds nothing.
  TensorReader(const pybind11::object& type, pybind11::tuple plain, pybind11::object describe);

  // What was found; valid until the next call. False where the library cannot tell, as for a
  // sparse tensor, or there is no memory; no Python error is left behind.
  bool read(PyObject* tensor, dlpack::Tensor* out);
  bool is_direct() const { return exchange_ != nullptr; }
  bool has_torch_functions() const { return torch_.usable(); }

 private:
  bool describe(PyObject* tensor, dlpack::Tensor* out);

  const dlpack::Exchange* exchange_ = nullptr;
  TorchTensorReader torch_;
  pybind11::object describe_;
  Dims shape_;
  Dims strides_;
};

// An attribute that classes written in C compute: one getattr would look for it anew, in each
// class that an object's class is derived from.
class AttributeReader {
 public:
  explicit AttributeReader(const char* name) : name_(pybind11::str(name)) {}

  // What getattr gives; throws what it raises.
  pybind11::object read(PyObject* object) {
    if (Py_TYPE(object) != reinterpret_cast<PyTypeObject*>(type_.ptr())) find(Py_TYPE(object));
    PyObject* found = get_ ? get_(object, closure_) : PyObject_GetAttr(object, name_.ptr());
    if (!found) throw pybind11::error_already_set();
    return pybind11::reinterpret_steal<pybind11::object>(found);
  }
  // Classes may be changed until the next call of `read`.
  void forget() { type_ = {}; }

 private:
  void find(PyTypeObject* type);

  pybind11::str name_;
  pybind11::object type_;  // of the object that was read last
  getter get_ = nullptr;   // null where only getattr knows
  void* closure_ = nullptr;
};

}  // namespace chainrule::python
