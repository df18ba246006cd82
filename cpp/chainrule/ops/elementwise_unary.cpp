#include <cmath>
#include <limits>

#include "chainrule/autograd/backward.h"
#include "chainrule/backend/elementwise.h"
#include "chainrule/functors/activation.h"
#include "chainrule/functors/arithmetic.h"
#include "chainrule/functors/explog.h"
#include "chainrule/ops/elementwise.h"

// Every op of one argument comes from its functor: forward, and the derivatives up to the
// third by kernels that are generated from the functor's `backward`.
namespace chainrule {
namespace {

using namespace functors;

struct Params {
  double values[2];
};

template <class Op>
ElementwiseKernel forward_kernel(Op::name);

template <class Op, int Order>
ElementwiseKernel derivative_kernel(derivative_name<Op, Order>.text);

template <class Op, int Order>
Array run_derivative(const Array& s, const Array& u, const Params& params) {
  Array out(u.shape(), u.dtype(), common_device(Op::name, {&s, &u}));
  run_elementwise(derivative_kernel<Op, Order>, u.dtype(), out, {&s, &u}, params.values);
  return out;
}

// The functor's Order-th derivative at s, times u. Its own gradients are the same with u
// replaced, and the next order.
template <class Op, int Order>
Variable derivative_op(const Variable& s, const Variable& u, const Params& params) {
  return record(
      Op::name, run_derivative<Op, Order>(s.array(), u.array(), params),
      [s = Saved(s), u = Saved(u), params](Backward& b) {
        const Variable sv = s.unpack(Op::name);
        if (b.needs(1)) b.set(1, derivative_op<Op, Order>(sv, b.grad(), params));
        if (b.needs(0)) {
          if constexpr (Order < kMaxDerivative) {
            b.set(0,
                  derivative_op<Op, Order + 1>(sv, multiply(u.unpack(Op::name), b.grad()), params));
          } else {
            throw NotSupportedError(cat("[", Op::name, "] derivatives go up to order ",
                                        kMaxDerivative, ": got order ", Order + 1));
          }
        }
      },
      s, u);
}

template <class Op>
Variable unary(const Variable& x, Params params = {}) {
  const Array& in = x.array();
  Array y(in.shape(), in.dtype(), in.device());
  run_elementwise(forward_kernel<Op>, in.dtype(), y, {&in}, params.values);
  if constexpr (Op::saves == Saves::output) {
    return record(
        Op::name, y,
        [y, params](Backward& b) { b.set(0, derivative_op<Op, 1>(b.output(y), b.grad(), params)); },
        x);
  } else {
    return record(
        Op::name, y,
        [x = Saved(x), params](Backward& b) {
          b.set(0, derivative_op<Op, 1>(x.unpack(Op::name), b.grad(), params));
        },
        x);
  }
}

struct Range {
  double least;
  double most;
};

Range range_of(Dtype dtype) {
  return visit(dtype, []<class T>(TypeTag<T>) -> Range {
    if constexpr (std::numeric_limits<T>::is_integer) {
      return {static_cast<double>(std::numeric_limits<T>::min()),
              static_cast<double>(std::numeric_limits<T>::max())};
    } else {
      return {-HUGE_VAL, HUGE_VAL};
    }
  });
}

Variable floating(const Variable& x) { return cast(x, to_floating(x.dtype())); }

}  // namespace

Variable negative(const Variable& x) {
  if (x.dtype() == Dtype::bool_) {
    throw TypeError("[negative] bool has no negative: got bool, expected a number");
  }
  return unary<Negative>(x);
}
Variable square(const Variable& x) { return unary<Square>(x); }
Variable absolute(const Variable& x) { return unary<Absolute>(x); }
Variable clip(const Variable& x, double low, double high) {
  if (!(low <= high)) {
    throw ValueError(cat("[clip] bounds out of order: got x_min=", low, ", x_max=", high,
                         ", expected x_min <= x_max"));
  }
  if (is_integral(x.dtype())) {
    // As in NumPy: bounds that are no integers make floats of the result, and integers that
    // the dtype does not have cannot be the result.
    if (low != std::floor(low) || high != std::floor(high)) {
      return clip(cast(x, Dtype::float64), low, high);
    }
    const auto [least, most] = range_of(x.dtype());
    if (high < least || low > most) {
      throw ValueError(cat("[clip] no ", x.dtype(), " lies within the bounds: got x_min=", low,
                           ", x_max=", high, ", expected some of ", least, " to ", most));
    }
  }
  return unary<Clip>(x, {{low, high}});
}
Variable exp(const Variable& x) { return unary<Exp>(floating(x)); }
Variable log(const Variable& x) { return unary<Log>(floating(x)); }
Variable sqrt(const Variable& x) { return unary<Sqrt>(floating(x)); }
Variable relu(const Variable& x) { return unary<Relu>(floating(x)); }
Variable leaky_relu(const Variable& x, double slope) {
  return unary<LeakyRelu>(floating(x), {{slope}});
}
Variable elu(const Variable& x, double alpha) { return unary<Elu>(floating(x), {{alpha}}); }
Variable sigmoid(const Variable& x) { return unary<Sigmoid>(floating(x)); }
Variable tanh(const Variable& x) { return unary<Tanh>(floating(x)); }
Variable softplus(const Variable& x, double beta) { return unary<Softplus>(floating(x), {{beta}}); }

}  // namespace chainrule
