#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>

#include "chainrule/core/shape.h"
#include "dlpack_types.h"

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
  // `describe(tensor)` is called; it gives (address, shape, strides in elements, device type, type
  // code, bits), the last three as DLPack numbers them.
  TensorReader(const pybind11::object& type, pybind11::object describe);

  // What was found; valid until the next call. False where the library cannot tell, as for a
  // sparse tensor; no Python error is left behind.
  bool read(PyObject* tensor, dlpack::Tensor* out);
  bool is_direct() const { return exchange_ != nullptr; }

 private:
  const dlpack::Exchange* exchange_ = nullptr;
  pybind11::object describe_;
  Dims shape_;
  Dims strides_;
};

}  // namespace chainrule::python
