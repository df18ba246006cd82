#include "chainrule/ops/linear.h"

#include "chainrule/autograd/backward.h"
#include "chainrule/backend/elementwise.h"
#include "chainrule/backend/gemm.h"
#include "chainrule/ops/elementwise.h"
#include "chainrule/ops/manipulation.h"
#include "chainrule/ops/reduction.h"

namespace chainrule {
namespace {

// The size of a dimension counted from the end, after an optional transpose.
std::int64_t dim(const Array& x, int from_end, bool transposed) {
  const int i = transposed ? 3 - from_end : from_end;
  return x.shape()[x.ndim() - i];
}

Shape batch_shape(const Array& x) { return Shape(x.shape().data(), x.ndim() - 2); }

[[noreturn]] void throw_mismatch(const Array& a, const Array& b, bool transa, bool transb) {
  throw ValueError(cat("[matmul] shapes do not fit: got ", a.shape(), transa ? " transposed" : "",
                       " and ", b.shape(), transb ? " transposed" : "",
                       ", expected equal inner dimensions"));
}

// A product of stacks of matrices of one dtype.
Variable multiply_matrices(const Variable& a, const Variable& b, bool transa, bool transb) {
  const Device device = common_device("matmul", {&a.array(), &b.array()});
  Shape shape;
  if (a.ndim() > 2 || b.ndim() > 2) {
    shape = broadcast_shapes("matmul", batch_shape(a.array()), batch_shape(b.array()));
  }
  if (shape.size() + 2 > kMaxDims) {
    throw ValueError(cat("[matmul] too many dimensions: got ", shape.size() + 2));
  }
  shape.push_back(dim(a.array(), 2, transa));
  shape.push_back(dim(b.array(), 1, transb));
  Array y(shape, a.dtype(), device);
  gemm(y, a.array(), b.array(), {.transpose_a = transa, .transpose_b = transb});
  if (!is_floating(a.dtype())) return Variable(y);
  return record(
      "matmul", y,
      [a = Saved(a), b = Saved(b), transa, transb](Backward& ctx) {
        const Variable& g = ctx.grad();
        if (ctx.needs(0)) {
          const Variable other = b.unpack("matmul");
          const Variable ga =
              transa ? matmul(other, g, transb, true) : matmul(g, other, false, !transb);
          ctx.set(0, sum_to(ga, a.array().shape()));
        }
        if (ctx.needs(1)) {
          const Variable other = a.unpack("matmul");
          const Variable gb =
              transb ? matmul(g, other, true, transa) : matmul(other, g, !transa, false);
          ctx.set(1, sum_to(gb, b.array().shape()));
        }
      },
      a, b);
}

// As one operand of a product without the dimension that a vector was given.
Variable without(const Variable& y, int from_end) {
  Shape shape = y.shape();
  shape.erase(shape.size() - from_end);
  return reshape(y, shape);
}

// One matrix of rows, the heart of linear.
Variable multiply_rows(const Variable& x, const Variable& w, const Variable& b) {
  const Dtype dtype = x.dtype();
  if (!is_floating(dtype) || !is_floating(w.dtype()) || (b.defined() && !is_floating(b.dtype()))) {
    throw TypeError(cat("[linear] got x ", dtype, ", W ", w.dtype(), ", b ",
                        b.defined() ? b.dtype() : dtype, ", expected floating point numbers"));
  }
  if (w.ndim() != 2 || x.shape()[1] != w.shape()[1]) {
    throw ValueError(cat("[linear] shapes do not fit: got x ", x.shape(), " and W ", w.shape(),
                         ", expected x (batch, in) and W (out, in)"));
  }
  const Shape shape = {x.shape()[0], w.shape()[0]};
  if (b.defined() && (b.ndim() != 1 || b.shape()[0] != shape[1])) {
    throw ValueError(cat("[linear] bias does not fit: got ", b.shape(), ", expected (", shape[1],
                         ",) for W ", w.shape()));
  }
  // The result has the dtype of x; other dtypes are for mixed precision.
  if (w.dtype() != dtype) return multiply_rows(x, cast(w, dtype), b);
  if (b.defined() && b.dtype() != dtype) return multiply_rows(x, w, cast(b, dtype));
  const Device device = common_device("linear", {&x.array(), &w.array()});
  if (b.defined()) common_device("linear", {&x.array(), &b.array()});
  Array y(shape, dtype, device);
  gemm(y, x.array(), w.array(), {.transpose_b = true, .bias = b.defined() ? &b.array() : nullptr});
  auto backward = [x = Saved(x), w = Saved(w), biased = b.defined()](Backward& ctx) {
    const Variable& g = ctx.grad();
    if (ctx.needs(0)) ctx.set(0, matmul(g, w.unpack("linear")));
    if (ctx.needs(1)) ctx.set(1, matmul(g, x.unpack("linear"), true, false));
    if (biased && ctx.needs(2)) ctx.set(2, sum(g, {0}));
  };
  return b.defined() ? record("linear", y, std::move(backward), x, w, b)
                     : record("linear", y, std::move(backward), x, w);
}

}  // namespace

Variable matmul(const Variable& a, const Variable& b, bool transa, bool transb) {
  if (a.ndim() == 0 || b.ndim() == 0) {
    throw ValueError(cat("[matmul] a number has no matrix product: got shapes ", a.shape(), " and ",
                         b.shape(), ", expected at least one dimension each"));
  }
  const Dtype dtype = promote(a.dtype(), b.dtype());
  if (a.dtype() != dtype) return matmul(cast(a, dtype), b, transa, transb);
  if (b.dtype() != dtype) return matmul(a, cast(b, dtype), transa, transb);
  const std::int64_t inner_a = a.ndim() == 1 ? a.size() : dim(a.array(), 1, transa);
  const std::int64_t inner_b = b.ndim() == 1 ? b.size() : dim(b.array(), 2, transb);
  if (inner_a != inner_b) throw_mismatch(a.array(), b.array(), transa, transb);
  if (a.ndim() == 1) {
    return without(matmul(reshape(a, {1, a.size()}), b, false, transb), b.ndim() == 1 ? 1 : 2);
  }
  if (b.ndim() == 1) return without(matmul(a, reshape(b, {b.size(), 1}), transa, false), 1);
  if (a.ndim() > 2 && b.ndim() == 2 && !transa) {
    // Many rows against one matrix: one large product instead of a batch of small ones, and
    // a gradient of b that needs no sum over the batch.
    Shape shape = a.shape();
    shape[shape.size() - 1] = dim(b.array(), 1, transb);
    std::int64_t rows = 1;
    for (int i = 0; i + 1 < a.ndim(); ++i) rows *= a.shape()[i];
    return reshape(multiply_matrices(reshape(a, {rows, inner_a}), b, false, transb), shape);
  }
  return multiply_matrices(a, b, transa, transb);
}

Variable linear(const Variable& x, const Variable& w, const Variable& b, int batch_axes) {
  if (x.ndim() < 2) {
    throw ValueError(cat("[linear] x: got shape ", x.shape(), ", expected (batch, in)"));
  }
  if (batch_axes < 1 || batch_axes > x.ndim()) {
    throw ValueError(cat("[linear] n_batch_axes: got ", batch_axes, ", expected 1 to ", x.ndim(),
                         " for x ", x.shape()));
  }
  if (batch_axes == 1 && x.ndim() == 2) return multiply_rows(x, w, b);
  Shape shape = {};
  std::int64_t rows = 1;
  std::int64_t size = 1;
  for (int i = 0; i < x.ndim(); ++i) {
    (i < batch_axes ? rows : size) *= x.shape()[i];
    if (i < batch_axes) shape.push_back(x.shape()[i]);
  }
  const Variable y = multiply_rows(reshape(x, {rows, size}), w, b);
  shape.push_back(y.shape()[1]);
  return reshape(y, shape);
}

}  // namespace chainrule
