#include "chainrule/ops/manipulation.h"

#include <algorithm>

#include "chainrule/autograd/backward.h"
#include "chainrule/backend/elementwise.h"
#include "chainrule/ops/elementwise.h"
#include "chainrule/ops/indexing.h"

namespace chainrule {
namespace {

// Replaces the one dimension that may be -1.
Shape completed_shape(const Shape& from, std::int64_t size, const Shape& to) {
  Shape shape = to;
  int unknown = -1;
  std::int64_t known = 1;
  const auto fail = [&](const char* what) {
    throw ValueError(cat("[reshape] ", what, ": got ", from, " to ", to,
                         ", expected the same number of elements"));
  };
  for (int i = 0; i < to.size(); ++i) {
    if (to[i] < -1) fail("negative dimension");
    if (to[i] == -1) {
      if (unknown >= 0) fail("more than one dimension is -1");
      unknown = i;
    } else if (__builtin_mul_overflow(known, to[i], &known)) {
      fail("too many elements");
    }
  }
  if (unknown >= 0) {
    if (known == 0 || size % known != 0) fail("-1 cannot be found");
    shape[unknown] = size / known;
  } else if (known != size) {
    fail("number of elements differs");
  }
  return shape;
}

Array reshaped(const Array& x, const Shape& shape) {
  const Array view = x.try_reshape(shape);
  if (view.defined()) return view;
  return copied(x).try_reshape(shape);
}

// x[..., begin:end, ...] along one axis, as a view.
Array part_of(const Array& x, int axis, std::int64_t begin, std::int64_t end) {
  Shape shape = x.shape();
  shape[axis] = end - begin;
  return x.view(shape, x.strides(), shape[axis] > 0 ? begin * x.strides()[axis] : 0);
}

void check_some(const char* op, const std::vector<Variable>& xs) {
  if (xs.empty()) {
    throw ValueError(cat("[", op, "] got no variables, expected at least one"));
  }
  for (const Variable& x : xs) {
    if (!x.array().defined()) {
      throw TypeError(cat("[", op, "] got None or a variable without data, expected variables"));
    }
  }
}

// All of one dtype, NumPy's for the whole list.
std::vector<Variable> promoted(const std::vector<Variable>& xs) {
  Dtype dtype = xs[0].dtype();
  for (const Variable& x : xs) dtype = promote(dtype, x.dtype());
  std::vector<Variable> out;
  for (const Variable& x : xs) out.push_back(cast(x, dtype));
  return out;
}

}  // namespace

Variable reshape(const Variable& x, const Shape& shape) {
  const Shape to = completed_shape(x.shape(), x.size(), shape);
  if (to == x.shape()) return x;
  return record(
      "reshape", reshaped(x.array(), to),
      [from = x.shape()](Backward& b) { b.set(0, reshape(b.grad(), from)); }, x);
}

Variable transpose(const Variable& x, const Axes& axes) {
  const int n = x.ndim();
  Axes order;
  Axes inverse = Axes::filled(n, -1);
  if (axes.empty()) {
    for (int i = n; i-- > 0;) order.push_back(i);
  } else {
    if (axes.size() != n) {
      throw ValueError(cat("[transpose] wrong number of axes: got ", axes, " for shape ", x.shape(),
                           ", expected ", n, " axes"));
    }
    for (std::int64_t axis : axes) order.push_back(normalize_axis("transpose", axis, n));
  }
  for (int i = 0; i < n; ++i) {
    std::int64_t& back = inverse[static_cast<int>(order[i])];
    if (back != -1) throw ValueError(cat("[transpose] an axis is named twice: got ", axes));
    back = i;
  }
  return record(
      "transpose", x.array().transposed(order),
      [inverse](Backward& b) { b.set(0, transpose(b.grad(), inverse)); }, x);
}

Variable flatten(const Variable& x) { return reshape(x, {-1}); }

Variable expand_dims(const Variable& x, std::int64_t axis) {
  Shape shape = x.shape();
  shape.insert(normalize_axis("expand_dims", axis, x.ndim() + 1), 1);
  return reshape(x, shape);
}

Variable squeeze(const Variable& x, const Axes& axes) {
  Axes gone;
  if (!axes.empty()) {
    gone = normalize_axes("squeeze", axes, x.ndim());
    for (std::int64_t axis : gone) {
      if (x.shape()[static_cast<int>(axis)] != 1) {
        throw ValueError(cat("[squeeze] only dimensions of length one can go: got axis ", axis,
                             " of shape ", x.shape()));
      }
    }
  } else {
    for (int i = 0; i < x.ndim(); ++i) {
      if (x.shape()[i] == 1) gone.push_back(i);
    }
  }
  return reshape(x, reduced_shape(x.shape(), gone, false));
}

Variable swapaxes(const Variable& x, std::int64_t axis1, std::int64_t axis2) {
  Axes order;
  for (int i = 0; i < x.ndim(); ++i) order.push_back(i);
  std::swap(order[normalize_axis("swapaxes", axis1, x.ndim())],
            order[normalize_axis("swapaxes", axis2, x.ndim())]);
  return order.empty() ? x : transpose(x, order);
}

Variable moveaxis(const Variable& x, const Axes& source, const Axes& destination) {
  const int n = x.ndim();
  if (source.size() != destination.size()) {
    throw ValueError(cat("[moveaxis] source and destination differ in length: got ", source,
                         " and ", destination));
  }
  if (source.empty()) return x;
  normalize_axes("moveaxis", source, n);  // neither may name an axis twice
  normalize_axes("moveaxis", destination, n);
  Axes order = Axes::filled(n, -1);
  Axes taken = Axes::filled(n, 0);
  for (int i = 0; i < source.size(); ++i) {
    const int from = normalize_axis("moveaxis", source[i], n);
    order[normalize_axis("moveaxis", destination[i], n)] = from;
    taken[from] = 1;
  }
  int next = 0;
  for (std::int64_t& axis : order) {
    if (axis != -1) continue;
    while (taken[next]) ++next;
    axis = next++;
  }
  return transpose(x, order);
}

Variable rollaxis(const Variable& x, std::int64_t axis, std::int64_t start) {
  const int n = x.ndim();
  const int from = normalize_axis("rollaxis", axis, n);
  const int before = normalize_axis("rollaxis", start, n + 1);
  Axes order;
  for (int i = 0; i < n; ++i) {
    if (i != from) order.push_back(i);
  }
  order.insert(from < before ? before - 1 : before, from);
  return transpose(x, order);
}

Variable concat(const std::vector<Variable>& variables, std::int64_t axis) {
  check_some("concat", variables);
  const std::vector<Variable> xs = promoted(variables);
  const Array& first = xs[0].array();
  if (first.ndim() == 0) {
    throw ValueError("[concat] got variables of no dimensions, expected at least one");
  }
  const int along = normalize_axis("concat", axis, first.ndim());
  Shape shape = first.shape();
  std::vector<std::int64_t> ends;
  shape[along] = 0;
  for (const Variable& x : xs) {
    Shape other = x.shape();
    if (other.size() == shape.size()) {
      shape[along] += other[along];
      other[along] = first.shape()[along];
    }
    if (other != first.shape()) {
      throw ValueError(cat("[concat] shapes may differ along axis ", axis, " only: got ",
                           first.shape(), " and ", x.shape()));
    }
    common_device("concat", {&first, &x.array()});
    ends.push_back(shape[along]);
  }
  const Array y(shape, first.dtype(), first.device());
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < xs.size(); ++i) {
    copy_into(part_of(y, along, begin, ends[i]), xs[i].array());
    begin = ends[i];
  }
  return record_many(
      "concat", {y},
      [ends, along](Backward& b) {
        for (std::size_t i = 0; i < ends.size(); ++i) {
          const int input = static_cast<int>(i);
          if (b.needs(input)) {
            b.set(input, slice_axis(b.grad(), along, i ? ends[i - 1] : 0, ends[i]));
          }
        }
      },
      xs)[0];
}

Variable stack(const std::vector<Variable>& xs, std::int64_t axis) {
  check_some("stack", xs);
  std::vector<Variable> rows;
  for (const Variable& x : xs) {
    if (x.shape() != xs[0].shape()) {
      throw ValueError(cat("[stack] shapes differ: got ", xs[0].shape(), " and ", x.shape(),
                           ", expected one shape"));
    }
    Shape shape = x.shape();
    shape.insert(normalize_axis("stack", axis, x.ndim() + 1), 1);
    rows.push_back(reshape(x, shape));
  }
  return concat(rows, axis);
}

std::vector<Variable> split_axis(const Variable& x,
                                 const std::vector<std::int64_t>& indices,
                                 std::int64_t axis) {
  if (x.ndim() == 0) throw ValueError("[split_axis] got a variable of no dimensions");
  const int along = normalize_axis("split_axis", axis, x.ndim());
  const std::int64_t length = x.shape()[along];
  // As slices of Python: an index may be negative or past the end, and parts may be empty.
  std::vector<Array> parts;
  std::vector<std::pair<std::int64_t, std::int64_t>> ranges;
  std::int64_t previous = 0;
  for (std::size_t i = 0; i <= indices.size(); ++i) {
    const auto bound = [&](std::int64_t at) {
      return std::clamp<std::int64_t>(at < 0 ? at + length : at, 0, length);
    };
    const std::int64_t begin = bound(previous);
    const std::int64_t end = i < indices.size() ? bound(indices[i]) : length;
    ranges.emplace_back(begin, std::max(begin, end));
    parts.push_back(part_of(x.array(), along, ranges.back().first, ranges.back().second));
    if (i < indices.size()) previous = indices[i];
  }
  bool covers = true;  // every element in just one part
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    covers &= ranges[i].first == (i ? ranges[i - 1].second : 0);
  }
  if (!covers) {
    std::vector<Variable> slices;
    for (const auto& [begin, end] : ranges) slices.push_back(slice_axis(x, along, begin, end));
    return slices;
  }
  return record_many("split_axis", std::move(parts),
                     [along](Backward& b) {
                       std::vector<Variable> grads;
                       for (int i = 0; i < b.node().output_count(); ++i) grads.push_back(b.grad(i));
                       b.set(0, concat(grads, along));
                     },
                     {x});
}

std::vector<Variable> split_axis(const Variable& x, std::int64_t sections, std::int64_t axis) {
  if (x.ndim() == 0) throw ValueError("[split_axis] got a variable of no dimensions");
  const std::int64_t length = x.shape()[normalize_axis("split_axis", axis, x.ndim())];
  if (sections < 1 || length % sections != 0) {
    throw ValueError(cat("[split_axis] no equal division: got ", sections, " sections of ", length,
                         " elements along axis ", axis, ", expected a divisor of ", length));
  }
  std::vector<std::int64_t> indices;
  for (std::int64_t i = 1; i < sections; ++i) indices.push_back(i * (length / sections));
  return split_axis(x, indices, axis);
}

std::vector<Variable> separate(const Variable& x, std::int64_t axis) {
  const int along = normalize_axis("separate", axis, x.ndim());
  std::vector<std::int64_t> indices;
  for (std::int64_t i = 1; i < x.shape()[along]; ++i) indices.push_back(i);
  std::vector<Variable> parts;
  if (x.shape()[along] == 0) return parts;
  for (const Variable& part : split_axis(x, indices, along)) {
    parts.push_back(squeeze(part, {along}));
  }
  return parts;
}

std::vector<Variable> broadcast(const std::vector<Variable>& xs) {
  check_some("broadcast", xs);
  Shape shape = xs[0].shape();
  for (const Variable& x : xs) shape = broadcast_shapes("broadcast", shape, x.shape());
  std::vector<Variable> out;
  for (const Variable& x : xs) out.push_back(broadcast_to(x, shape));
  return out;
}

Variable repeat(const Variable& x, std::int64_t repeats, std::int64_t axis) {
  if (repeats < 0) {
    throw ValueError(cat("[repeat] got ", repeats, " repeats, expected none or more"));
  }
  const int along = normalize_axis("repeat", axis, x.ndim());
  Shape shape = x.shape();
  shape.insert(along + 1, 1);
  const Variable each = reshape(x, shape);
  shape[along + 1] = repeats;
  const Variable all = broadcast_to(each, shape);
  shape.erase(along + 1);
  shape[along] *= repeats;
  return reshape(all, shape);
}

Variable repeat(const Variable& x, const std::vector<std::int64_t>& repeats, std::int64_t axis) {
  const int along = normalize_axis("repeat", axis, x.ndim());
  if (static_cast<std::int64_t>(repeats.size()) != x.shape()[along]) {
    throw ValueError(cat("[repeat] wrong number of repeats: got ", repeats.size(), " for axis ",
                         axis, " of shape ", x.shape(), ", expected ", x.shape()[along]));
  }
  std::int64_t total = 0;
  for (std::int64_t count : repeats) {
    if (count < 0) {
      throw ValueError(cat("[repeat] got ", count, " repeats, expected none or more"));
    }
    total += count;
  }
  const Array places({total}, Dtype::int64);
  auto* at = places.data<std::int64_t>();
  for (std::size_t i = 0; i < repeats.size(); ++i) {
    at = std::fill_n(at, repeats[i], static_cast<std::int64_t>(i));
  }
  Index index(static_cast<std::size_t>(along), IndexItem::slice({}, {}));
  index.push_back(IndexItem::places(places));
  return get_item(x, index);
}

}  // namespace chainrule
