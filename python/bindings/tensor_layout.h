#pragma once

#include <algorithm>
#include <cstdint>

#include "chainrule/core/shape.h"
#include "dlpack_types.h"

// How another library's tensor lies in memory.
namespace chainrule::python {

// PyTorch may keep a view whose elements are the negatives of what memory holds. Gradients are
// such only where they may be views: of one element, or not in C order.
inline bool may_be_negated(const dlpack::Tensor& tensor) {
  std::int64_t expected = 1;
  for (int i = tensor.ndim - 1; i >= 0; --i) {
    if (tensor.shape[i] != 1 && tensor.strides[i] != expected) return true;
    expected *= tensor.shape[i];
  }
  return expected == 1;
}

// All but where the memory is; tensors that are alike share one.
struct Layout {
  dlpack::Device device;
  std::int32_t ndim;
  std::uint8_t code;
  std::uint8_t bits;
  bool maybe_negated;
  std::int64_t shape[kMaxDims];
  std::int64_t strides[kMaxDims];

  explicit Layout(const dlpack::Tensor& tensor)
      : device(tensor.device),
        ndim(tensor.ndim),
        code(tensor.dtype.code),
        bits(tensor.dtype.bits),
        maybe_negated(may_be_negated(tensor)) {
    std::copy_n(tensor.shape, ndim, shape);
    std::copy_n(tensor.strides, ndim, strides);
  }
  bool fits(const dlpack::Tensor& other) const {
    if (device.type != other.device.type || ndim != other.ndim || code != other.dtype.code ||
        bits != other.dtype.bits) {
      return false;
    }
    if (device.type != dlpack::kCpu && device.id != other.device.id) return false;
    for (int i = 0; i < ndim; ++i) {
      if (shape[i] != other.shape[i]) return false;
    }
    return true;
  }
  bool is(const dlpack::Tensor& other) const {
    if (!fits(other)) return false;
    for (int i = 0; i < ndim; ++i) {
      if (strides[i] != other.strides[i]) return false;
    }
    return true;
  }
};

}  // namespace chainrule::python
