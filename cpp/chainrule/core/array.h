#pragma once

#include <cstddef>
#include <cstdint>

#include "chainrule/core/api.h"
#include "chainrule/core/device.h"
#include "chainrule/core/dtype.h"
#include "chainrule/core/shape.h"
#include "chainrule/core/storage.h"

namespace chainrule {

// A strided view of a storage: cheap to copy, shares memory. A default-made Array is empty of
// everything ("undefined"), which stands for "no data yet".
class CHAINRULE_API Array {
 public:
  Array() = default;
  // Uninitialised, C-contiguous.
  Array(const Shape& shape, Dtype dtype, Device device = {});
  Array(Ref<Storage> storage,
        std::byte* data,
        const Shape& shape,
        const Strides& strides,
        Dtype dtype);

  bool defined() const { return static_cast<bool>(storage_); }
  const Shape& shape() const { return shape_; }
  const Strides& strides() const { return strides_; }
  int ndim() const { return shape_.size(); }
  std::int64_t size() const { return size_; }
  std::int64_t nbytes() const { return size_ * item_size(dtype_); }
  Dtype dtype() const { return dtype_; }
  Device device() const { return storage_->device(); }
  const Ref<Storage>& storage() const { return storage_; }
  bool is_contiguous() const { return contiguous_; }
  bool writeable() const { return storage_->writeable(); }
  // True when nothing else can see this memory: it may be written in place.
  bool is_sole_owner() const {
    return storage_ && storage_->use_count() == 1 && !storage_->owner() && writeable();
  }

  // True where broadcasting shows an element more than once.
  bool has_repeats() const {
    for (int i = 0; i < shape_.size(); ++i) {
      if (strides_[i] == 0 && shape_[i] > 1) return true;
    }
    return false;
  }

  std::byte* raw() const { return data_; }
  template <class T>
  T* data() const {
    return reinterpret_cast<T*>(data_);
  }

  // Views. `strides` and `offset` are in bytes and are trusted.
  Array view(const Shape& shape, const Strides& strides, std::int64_t offset = 0) const;
  Array broadcast_to(const char* op, const Shape& shape) const;
  Array transposed(const Axes& axes) const;
  // A view where the strides allow it, undefined otherwise.
  Array try_reshape(const Shape& shape) const;

 private:
  Ref<Storage> storage_;
  std::byte* data_ = nullptr;
  std::int64_t size_ = 0;
  Dtype dtype_ = Dtype::float32;
  bool contiguous_ = true;
  Shape shape_;
  Strides strides_;
};

}  // namespace chainrule
