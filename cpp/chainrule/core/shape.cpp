#include "chainrule/core/shape.h"

#include <algorithm>
#include <ostream>

#include "chainrule/core/error.h"

namespace chainrule {
namespace {

void check_count(std::int64_t count) {
  if (count > kMaxDims) {
    throw ValueError(
        cat("[shape] too many dimensions: got ", count, ", expected at most ", kMaxDims));
  }
}

}  // namespace

Dims::Dims(std::initializer_list<std::int64_t> values)
    : Dims(values.begin(), static_cast<int>(values.size())) {}

Dims::Dims(const std::int64_t* values, int count) {
  check_count(count);
  size_ = count;
  std::copy(values, values + count, values_);
}

Dims Dims::filled(int count, std::int64_t value) {
  Dims dims;
  for (int i = 0; i < count; ++i) dims.push_back(value);
  return dims;
}

void Dims::push_back(std::int64_t value) {
  check_count(size_ + 1);
  values_[size_++] = value;
}

void Dims::insert(int position, std::int64_t value) {
  check_count(size_ + 1);
  std::copy_backward(values_ + position, values_ + size_, values_ + size_ + 1);
  values_[position] = value;
  ++size_;
}

void Dims::erase(int position) {
  std::copy(values_ + position + 1, values_ + size_, values_ + position);
  --size_;
}

std::ostream& operator<<(std::ostream& out, const Dims& dims) {
  out << '(';
  for (int i = 0; i < dims.size(); ++i) out << (i ? ", " : "") << dims[i];
  return out << (dims.size() == 1 ? ",)" : ")");
}

std::int64_t element_count(const Shape& shape) {
  std::int64_t count = 1;
  bool empty = false;
  for (std::int64_t d : shape) {
    if (d < 0) throw ValueError(cat("[shape] negative dimension: got ", shape));
    empty |= d == 0;
  }
  if (empty) return 0;
  for (std::int64_t d : shape) {
    if (__builtin_mul_overflow(count, d, &count) || count > (std::int64_t{1} << 56)) {
      throw ValueError(cat("[shape] too many elements: got ", shape));
    }
  }
  return count;
}

Strides contiguous_strides(const Shape& shape, int item_size) {
  Strides strides = shape;
  std::int64_t step = item_size;
  for (int i = shape.size(); i-- > 0;) {
    strides[i] = step;
    step *= std::max<std::int64_t>(shape[i], 1);
  }
  return strides;
}

Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b) {
  if (a == b) return a;
  const Shape& longer = a.size() >= b.size() ? a : b;
  const Shape& shorter = a.size() >= b.size() ? b : a;
  Shape out = longer;
  const int offset = longer.size() - shorter.size();
  for (int i = 0; i < shorter.size(); ++i) {
    std::int64_t& d = out[offset + i];
    if (d == 1) {
      d = shorter[i];
    } else if (shorter[i] != 1 && shorter[i] != d) {
      throw ValueError(cat("[", op, "] shapes do not broadcast: got ", a, " and ", b,
                           ", expected equal dimensions or 1 from the right"));
    }
  }
  return out;
}

int normalize_axis(const char* op, std::int64_t axis, int ndim) {
  if (axis < -ndim || axis >= ndim) {
    throw IndexError(cat("[", op, "] axis out of range: got ", axis, " for an array of ", ndim,
                         " dimensions, expected ", -ndim, " to ", ndim - 1));
  }
  return static_cast<int>(axis < 0 ? axis + ndim : axis);
}

Axes normalize_axes(const char* op, const Axes& axes, int ndim) {
  bool named[kMaxDims] = {};
  for (const std::int64_t axis : axes) {
    bool& here = named[normalize_axis(op, axis, ndim)];
    if (here) throw ValueError(cat("[", op, "] an axis is named twice: got ", axes));
    here = true;
  }
  Axes out;
  for (int i = 0; i < ndim; ++i) {
    if (axes.empty() || named[i]) out.push_back(i);
  }
  return out;
}

Shape reduced_shape(const Shape& shape, const Axes& axes, bool keepdims) {
  Shape out;
  for (int i = 0, k = 0; i < shape.size(); ++i) {
    if (k < axes.size() && axes[k] == i) {
      ++k;
      if (keepdims) out.push_back(1);
    } else {
      out.push_back(shape[i]);
    }
  }
  return out;
}

}  // namespace chainrule
