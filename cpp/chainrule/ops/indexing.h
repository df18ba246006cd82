#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "chainrule/autograd/variable.h"

// x[...] with NumPy's rules.
namespace chainrule {

// One item of an index: 2, 1:8:3, None, ..., an array of integers or a mask.
struct IndexItem {
  enum class Kind { integer, slice, new_axis, ellipsis, array };

  Kind kind;
  std::optional<std::int64_t> start;  // the integer itself
  std::optional<std::int64_t> stop;
  std::int64_t step = 1;
  Array array;

  static IndexItem integer(std::int64_t at) { return {Kind::integer, at, {}, 1, {}}; }
  static IndexItem slice(std::optional<std::int64_t> start,
                         std::optional<std::int64_t> stop,
                         std::int64_t step = 1) {
    return {Kind::slice, start, stop, step, {}};
  }
  static IndexItem new_axis() { return {Kind::new_axis, {}, {}, 1, {}}; }
  static IndexItem ellipsis() { return {Kind::ellipsis, {}, {}, 1, {}}; }
  // Of an integer dtype, or bool: a mask of as many dimensions as it takes away.
  static IndexItem places(Array array) { return {Kind::array, {}, {}, 1, std::move(array)}; }
};
using Index = std::vector<IndexItem>;

// A view where the index holds no arrays. The gradient of an element taken several times is
// the sum.
CHAINRULE_API Variable get_item(const Variable& x, const Index& index);
// Zeros of `shape` with g added at `index`: the gradient of get_item, and its inverse where no
// element is taken twice.
CHAINRULE_API Variable put_item(const Variable& g, const Shape& shape, const Index& index);

// x[..., begin:end, ...], 0 <= begin <= end <= length.
CHAINRULE_API Variable slice_axis(const Variable& x,
                                  int axis,
                                  std::int64_t begin,
                                  std::int64_t end);
// Backwards along the axes; all where none are named.
CHAINRULE_API Variable flip(const Variable& x, const Axes& axes = {});
// y[i] = x[i, t[i]] for x (n, m) and integers t (n,).
CHAINRULE_API Variable select_item(const Variable& x, const Array& t);

}  // namespace chainrule
