#include "chainrule/ops/manipulation.h"

#include "chainrule/autograd/backward.h"
#include "chainrule/backend/elementwise.h"

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
      throw ValueError(cat("[transpose] wrong number of axes: got ", axes, " for shape ",
                           x.shape(), ", expected ", n, " axes"));
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

}  // namespace chainrule
