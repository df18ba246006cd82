#pragma once

#include <cstdint>
#include <initializer_list>
#include <iosfwd>

#include "chainrule/core/api.h"

namespace chainrule {

inline constexpr int kMaxDims = 8;

// A short list of dimensions (or strides, or axes), kept in place.
class CHAINRULE_API Dims {
 public:
  Dims() = default;
  Dims(std::initializer_list<std::int64_t> values);
  Dims(const std::int64_t* values, int count);
  static Dims filled(int count, std::int64_t value);

  int size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::int64_t operator[](int i) const { return values_[i]; }
  std::int64_t& operator[](int i) { return values_[i]; }
  const std::int64_t* begin() const { return values_; }
  const std::int64_t* end() const { return values_ + size_; }
  std::int64_t* begin() { return values_; }
  std::int64_t* end() { return values_ + size_; }
  const std::int64_t* data() const { return values_; }
  std::int64_t back() const { return values_[size_ - 1]; }

  void push_back(std::int64_t value);
  void insert(int position, std::int64_t value);
  void erase(int position);

  friend bool operator==(const Dims& a, const Dims& b) {
    if (a.size_ != b.size_) return false;
    for (int i = 0; i < a.size_; ++i) {
      if (a.values_[i] != b.values_[i]) return false;
    }
    return true;
  }

 private:
  std::int32_t size_ = 0;
  std::int64_t values_[kMaxDims];
};

using Shape = Dims;
using Strides = Dims;  // in bytes
using Axes = Dims;

// Prints as a Python tuple: (), (3,), (2, 3).
CHAINRULE_API std::ostream& operator<<(std::ostream& out, const Dims& dims);

// Number of elements; throws where it would overflow or a dimension is negative.
CHAINRULE_API std::int64_t element_count(const Shape& shape);
CHAINRULE_API Strides contiguous_strides(const Shape& shape, int item_size);

// NumPy's broadcasting; `op` names the operation in the error.
CHAINRULE_API Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b);

// Maps -ndim..ndim-1 to 0..ndim-1, or throws an IndexError naming `op`.
CHAINRULE_API int normalize_axis(const char* op, std::int64_t axis, int ndim);
// The same for a list: sorted, without repetition. An empty list stands for all axes.
CHAINRULE_API Axes normalize_axes(const char* op, const Axes& axes, int ndim);
// What a reduction over sorted `axes` leaves of `shape`.
CHAINRULE_API Shape reduced_shape(const Shape& shape, const Axes& axes, bool keepdims);

}  // namespace chainrule
