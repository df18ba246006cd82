#include "chainrule/ops/indexing.h"

#include <algorithm>
#include <limits>
#include <memory>

#include "chainrule/autograd/backward.h"
#include "chainrule/backend/elementwise.h"
#include "chainrule/backend/indexing.h"

namespace chainrule {
namespace {

// An index matched with a shape: every element it names is there.
struct Resolved {
  struct Dim {  // a dimension of the result that comes from a slice; axis -1 is a new one
    int axis;
    std::int64_t start;
    std::int64_t step;
  };
  struct Fixed {
    int axis;
    std::int64_t at;
  };
  struct Gathered {
    int axis;
    std::vector<std::int64_t> at;  // one for each place
  };

  Shape from;  // of the array that is indexed
  std::vector<Dim> dims;
  Shape dims_shape;
  std::vector<Fixed> fixed;
  bool has_places = false;
  std::vector<Gathered> gathered;
  Shape places_shape;
  int position = 0;  // how many of `dims` stand before the places in the result

  Shape result_shape() const {
    Shape shape;
    for (int i = 0; i < position; ++i) shape.push_back(dims_shape[i]);
    for (std::int64_t d : places_shape) shape.push_back(d);
    for (int i = position; i < dims_shape.size(); ++i) shape.push_back(dims_shape[i]);
    return shape;
  }
};
using ResolvedPointer = std::shared_ptr<const Resolved>;

using Kind = IndexItem::Kind;

std::int64_t checked_index(std::int64_t at, const Shape& shape, int axis) {
  const std::int64_t length = shape[axis];
  if (at < -length || at >= length) {
    throw IndexError(cat("[get_item] index out of range: got ", at, " for axis ", axis,
                         " of shape ", shape, ", expected ", -length, " to ", length - 1));
  }
  return at < 0 ? at + length : at;
}

// Python's rules for start:stop:step on a sequence of `length`.
void resolve_slice(const IndexItem& item, std::int64_t length, Resolved& to, int axis) {
  if (item.step == 0) throw ValueError("[get_item] slice step is zero");
  const bool backwards = item.step < 0;
  const std::int64_t step = std::max(item.step, -std::numeric_limits<std::int64_t>::max());
  const auto bound = [&](std::int64_t at) {
    if (at < 0) at += length;
    return std::clamp<std::int64_t>(at, backwards ? -1 : 0, backwards ? length - 1 : length);
  };
  const std::int64_t start = item.start ? bound(*item.start) : (backwards ? length - 1 : 0);
  const std::int64_t stop = item.stop ? bound(*item.stop) : (backwards ? -1 : length);
  const std::int64_t distance = backwards ? start - stop : stop - start;
  const std::int64_t count = distance > 0 ? (distance - 1) / (backwards ? -step : step) + 1 : 0;
  // Where there is nothing to step over, a step may be too long to be multiplied.
  to.dims.push_back({axis, count > 0 ? start : 0, count > 1 ? step : 1});
  to.dims_shape.push_back(count);
}

// The places where a mask is true, one list for each of its dimensions.
std::vector<Array> nonzero(const Array& mask) {
  const Array dense = as_contiguous(mask);
  std::vector<std::int64_t> flat;
  for (std::int64_t i = 0; i < dense.size(); ++i) {
    if (dense.data<bool>()[i]) flat.push_back(i);
  }
  const auto count = static_cast<std::int64_t>(flat.size());
  std::vector<Array> lists;
  std::int64_t below = 1;
  for (int d = mask.ndim(); d-- > 0;) {
    const std::int64_t length = mask.shape()[d];
    Array list({count}, Dtype::int64);
    for (std::size_t i = 0; i < flat.size(); ++i) {
      list.data<std::int64_t>()[i] = flat[i] / below % length;
    }
    lists.insert(lists.begin(), std::move(list));
    below *= length;
  }
  return lists;
}

void check_array(const IndexItem& item, const Shape& shape, int axis) {
  const Array& array = item.array;
  if (is_floating(array.dtype())) {
    throw IndexError(
        cat("[get_item] arrays in an index are integers or masks: got ", array.dtype()));
  }
  if (array.device().kind != DeviceKind::cpu) {
    throw NotSupportedError(
        cat("[get_item] arrays in an index lie on the CPU: got ", array.device()));
  }
  if (array.dtype() != Dtype::bool_) return;
  for (int d = 0; d < array.ndim(); ++d) {
    if (array.shape()[d] != shape[axis + d]) {
      throw IndexError(cat("[get_item] mask of the wrong shape: got ", array.shape(), " at axis ",
                           axis, " of shape ", shape));
    }
  }
}

int axes_taken(const IndexItem& item) {
  switch (item.kind) {
    case Kind::integer:
    case Kind::slice:
      return 1;
    case Kind::array:
      return item.array.dtype() == Dtype::bool_ ? item.array.ndim() : 1;
    default:
      return 0;
  }
}

// Lists of places broadcast to one shape.
void resolve_places(const std::vector<std::pair<int, Array>>& lists, Resolved& to) {
  try {
    for (const auto& [axis, list] : lists) {
      to.places_shape = broadcast_shapes("get_item", to.places_shape, list.shape());
    }
  } catch (const ValueError& error) {
    throw IndexError(error.what());
  }
  for (const auto& [axis, list] : lists) {
    if (axis < 0) continue;
    const Array wide = as_dtype(list, Dtype::int64);
    const Array dense = as_contiguous(wide.broadcast_to("get_item", to.places_shape));
    Resolved::Gathered gathered{axis, {}};
    gathered.at.reserve(static_cast<std::size_t>(dense.size()));
    for (std::int64_t i = 0; i < dense.size(); ++i) {
      gathered.at.push_back(checked_index(dense.data<std::int64_t>()[i], to.from, axis));
    }
    to.gathered.push_back(std::move(gathered));
  }
}

Resolved resolve(const Shape& shape, const Index& index) {
  Resolved to;
  to.from = shape;
  int taken = 0;
  int ellipses = 0;
  for (const IndexItem& item : index) {
    taken += axes_taken(item);
    ellipses += item.kind == Kind::ellipsis;
    to.has_places |= item.kind == Kind::array;
  }
  if (taken > shape.size()) {
    throw IndexError(cat("[get_item] too many indices: got ", taken, " for shape ", shape));
  }
  if (ellipses > 1) throw IndexError("[get_item] more than one ellipsis");

  int axis = 0;
  const auto keep = [&](int count) {
    for (int i = 0; i < count; ++i) {
      resolve_slice(IndexItem::slice({}, {}), shape[axis], to, axis);
      ++axis;
    }
  };
  std::vector<std::pair<int, Array>> lists;
  // The places stand where the arrays are if these are neighbours, and in front otherwise; an
  // integer beside an array counts as one.
  bool in_group = false;
  int groups = 0;
  for (const IndexItem& item : index) {
    const bool listed = to.has_places && (item.kind == Kind::array || item.kind == Kind::integer);
    if (listed && !in_group && ++groups == 1) to.position = to.dims_shape.size();
    in_group = listed;
    switch (item.kind) {
      case Kind::slice:
        resolve_slice(item, shape[axis], to, axis);
        ++axis;
        break;
      case Kind::new_axis:
        to.dims.push_back({-1, 0, 1});
        to.dims_shape.push_back(1);
        break;
      case Kind::ellipsis:
        keep(shape.size() - taken);
        break;
      case Kind::integer:
        to.fixed.push_back({axis, checked_index(*item.start, shape, axis)});
        ++axis;
        break;
      case Kind::array: {
        check_array(item, shape, axis);
        if (item.array.dtype() != Dtype::bool_) {
          lists.emplace_back(axis++, item.array);
        } else if (item.array.ndim() == 0) {  // True keeps, False takes all
          lists.emplace_back(-1, Array({*item.array.data<bool>() ? 1 : 0}, Dtype::int64));
        } else {
          for (Array& list : nonzero(item.array)) lists.emplace_back(axis++, std::move(list));
        }
        break;
      }
    }
  }
  keep(shape.size() - axis);
  if (groups > 1) to.position = 0;
  resolve_places(lists, to);
  return to;
}

// Strides of the result's sliced dimensions in x, and where they begin.
Strides sliced_strides(const Resolved& index, const Array& x, std::int64_t& offset) {
  Strides strides;
  offset = 0;
  for (const auto& fixed : index.fixed) offset += fixed.at * x.strides()[fixed.axis];
  for (const auto& dim : index.dims) {
    const std::int64_t stride = dim.axis < 0 ? 0 : x.strides()[dim.axis];
    offset += dim.start * stride;
    strides.push_back(dim.step * stride);
  }
  return strides;
}

Array sliced(const Resolved& index, const Array& x) {
  std::int64_t offset;
  const Strides strides = sliced_strides(index, x, offset);
  return x.view(index.dims_shape, strides, x.size() == 0 ? 0 : offset);
}

// `y` is the C-contiguous result.
Places places_of(const Resolved& index, const Array& x, const Array& y) {
  Places places;
  std::int64_t offset;
  places.x_strides = sliced_strides(index, x, offset);
  places.rest = index.dims_shape;
  places.y_step = item_size(y.dtype());
  for (int i = 0; i < index.dims_shape.size(); ++i) {
    const bool behind = i >= index.position;
    places.y_strides.push_back(y.strides()[behind ? i + index.places_shape.size() : i]);
    if (behind) places.y_step *= index.dims_shape[i];
  }
  places.offsets.assign(static_cast<std::size_t>(element_count(index.places_shape)), offset);
  for (const auto& gathered : index.gathered) {
    const std::int64_t stride = x.strides()[gathered.axis];
    for (std::size_t i = 0; i < gathered.at.size(); ++i) {
      places.offsets[i] += gathered.at[i] * stride;
    }
  }
  return places;
}

Variable put(const Variable& g, const ResolvedPointer& index);

Variable get(const Variable& x, const ResolvedPointer& index) {
  Array y;
  if (index->has_places) {
    y = Array(index->result_shape(), x.dtype(), x.device());
    take(y, x.array(), places_of(*index, x.array(), y));
  } else {
    y = sliced(*index, x.array());
  }
  return record("get_item", y, [index](Backward& b) { b.set(0, put(b.grad(), index)); }, x);
}

Variable put(const Variable& g, const ResolvedPointer& index) {
  const Array x = filled(index->from, g.dtype(), g.device(), 0.0);
  if (index->has_places) {
    const Array dense = as_contiguous(g.array());
    put_add(x, dense, places_of(*index, x, dense));
  } else {
    copy_into(sliced(*index, x), g.array());
  }
  return record("put_item", x, [index](Backward& b) { b.set(0, get(b.grad(), index)); }, g);
}

}  // namespace

Variable get_item(const Variable& x, const Index& index) {
  return get(x, std::make_shared<Resolved>(resolve(x.shape(), index)));
}

Variable put_item(const Variable& g, const Shape& shape, const Index& index) {
  auto resolved = std::make_shared<Resolved>(resolve(shape, index));
  if (g.shape() != resolved->result_shape()) {
    throw ValueError(cat("[put_item] values of the wrong shape: got ", g.shape(), ", expected ",
                         resolved->result_shape()));
  }
  if (!is_floating(g.dtype())) {
    throw TypeError(cat("[put_item] only floats are added: got ", g.dtype()));
  }
  return put(g, std::move(resolved));
}

Variable slice_axis(const Variable& x, int axis, std::int64_t begin, std::int64_t end) {
  Index index(static_cast<std::size_t>(axis), IndexItem::slice({}, {}));
  index.push_back(IndexItem::slice(begin, end));
  return get_item(x, index);
}

Variable flip(const Variable& x, const Axes& axes) {
  Index index(static_cast<std::size_t>(x.ndim()), IndexItem::slice({}, {}));
  for (std::int64_t axis : normalize_axes("flip", axes, x.ndim())) {
    index[static_cast<std::size_t>(axis)].step = -1;
  }
  return get_item(x, index);
}

Variable select_item(const Variable& x, const Array& t) {
  if (x.ndim() != 2 || t.ndim() != 1 || t.shape()[0] != x.shape()[0]) {
    throw ValueError(cat("[select_item] shapes do not fit: got x ", x.shape(), " and t ", t.shape(),
                         ", expected (n, m) and (n,)"));
  }
  if (!is_integral(t.dtype())) {
    throw TypeError(
        cat("[select_item] t of the wrong dtype: got ", t.dtype(), ", expected integers"));
  }
  const Array rows({t.shape()[0]}, Dtype::int64);
  for (std::int64_t i = 0; i < rows.size(); ++i) rows.data<std::int64_t>()[i] = i;
  return get_item(x, {IndexItem::places(rows), IndexItem::places(t)});
}

}  // namespace chainrule
