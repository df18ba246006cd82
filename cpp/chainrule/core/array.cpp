#include "chainrule/core/array.h"

#include "chainrule/core/error.h"

namespace chainrule {
namespace {

bool has_contiguous_strides(const Shape& shape, const Strides& strides, int item_size) {
  for (std::int64_t d : shape) {
    if (d == 0) return true;
  }
  std::int64_t step = item_size;
  for (int i = shape.size(); i-- > 0;) {
    if (shape[i] != 1) {
      if (strides[i] != step) return false;
      step *= shape[i];
    }
  }
  return true;
}

}  // namespace

Array::Array(const Shape& shape, Dtype dtype, Device device)
    : size_(element_count(shape)),
      dtype_(dtype),
      shape_(shape),
      strides_(contiguous_strides(shape, item_size(dtype))) {
  storage_ = Storage::allocate(size_ * item_size(dtype), device);
  data_ = storage_->data();
}

Array::Array(Ref<Storage> storage,
             std::byte* data,
             const Shape& shape,
             const Strides& strides,
             Dtype dtype)
    : storage_(std::move(storage)),
      data_(data),
      size_(element_count(shape)),
      dtype_(dtype),
      contiguous_(has_contiguous_strides(shape, strides, item_size(dtype))),
      shape_(shape),
      strides_(strides) {}

Array Array::view(const Shape& shape, const Strides& strides, std::int64_t offset) const {
  return Array(storage_, data_ + offset, shape, strides, dtype_);
}

Array Array::broadcast_to(const char* op, const Shape& shape) const {
  if (shape == shape_) return *this;
  const int added = shape.size() - ndim();
  Strides strides = Strides::filled(shape.size(), 0);
  bool fits = added >= 0;
  for (int i = 0; fits && i < ndim(); ++i) {
    if (shape_[i] == shape[added + i]) {
      strides[added + i] = strides_[i];
    } else {
      fits = shape_[i] == 1;
    }
  }
  if (!fits) {
    throw ValueError(cat("[", op, "] cannot broadcast: got ", shape_,
                         ", expected a shape that "
                         "broadcasts to ",
                         shape));
  }
  return view(shape, strides);
}

Array Array::transposed(const Axes& axes) const {
  Shape shape;
  Strides strides;
  for (std::int64_t axis : axes) {
    shape.push_back(shape_[static_cast<int>(axis)]);
    strides.push_back(strides_[static_cast<int>(axis)]);
  }
  return view(shape, strides);
}

Array Array::try_reshape(const Shape& shape) const {
  if (contiguous_) return view(shape, contiguous_strides(shape, item_size(dtype_)));
  // Match runs of old dimensions with runs of new ones of equal product; inside a run the old
  // strides must nest, dimensions of length one aside.
  Shape old;
  Strides old_strides;
  for (int i = 0; i < ndim(); ++i) {
    if (shape_[i] != 1) {
      old.push_back(shape_[i]);
      old_strides.push_back(strides_[i]);
    }
  }
  Strides strides = Strides::filled(shape.size(), item_size(dtype_));
  int o = 0;
  int n = 0;
  while (o < old.size() && n < shape.size()) {
    std::int64_t old_product = old[o];
    std::int64_t new_product = shape[n];
    const int o_begin = o++;
    const int n_begin = n++;
    while (old_product != new_product) {
      if (old_product < new_product) {
        old_product *= old[o++];
      } else {
        new_product *= shape[n++];
      }
    }
    for (int i = o_begin; i + 1 < o; ++i) {
      if (old_strides[i] != old[i + 1] * old_strides[i + 1]) return {};
    }
    std::int64_t step = old_strides[o - 1];
    for (int i = n; i-- > n_begin;) {
      strides[i] = step;
      step *= shape[i];
    }
  }
  return view(shape, strides);
}

}  // namespace chainrule
