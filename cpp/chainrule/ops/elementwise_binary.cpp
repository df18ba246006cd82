#include <cmath>

#include "chainrule/autograd/backward.h"
#include "chainrule/backend/elementwise.h"
#include "chainrule/functors/arithmetic.h"
#include "chainrule/functors/comparison.h"
#include "chainrule/ops/elementwise.h"

namespace chainrule {
namespace {

using namespace functors;

template <class Op>
ElementwiseKernel kernel(Op::name);

struct Operands {
  Variable a;
  Variable b;
};

// Both operands as one dtype (the array is converted, the graph sees the conversion).
Operands promoted(const Variable& a, const Variable& b, Dtype dtype) {
  return {a.dtype() == dtype ? a : cast(a, dtype), b.dtype() == dtype ? b : cast(b, dtype)};
}

template <class Op>
Array run(const Array& a, const Array& b, Dtype out_dtype) {
  const Device device = common_device(Op::name, {&a, &b});
  Array out(broadcast_shapes(Op::name, a.shape(), b.shape()), out_dtype, device);
  run_elementwise(kernel<Op>, a.dtype(), out, {&a, &b});
  return out;
}

template <class Op>
Array run(const Operands& x) {
  return run<Op>(x.a.array(), x.b.array(), x.a.dtype());
}

template <class Op>
Variable compare(const Variable& a, const Variable& b) {
  const Operands x = promoted(a, b, promote(a.dtype(), b.dtype()));
  return Variable(run<Op>(x.a.array(), x.b.array(), Dtype::bool_));
}

// The gradient of an operand that was broadcast is the sum over what was repeated.
void set_summed(Backward& b, int input, const Variable& grad, const Array& operand) {
  b.set(input, grad.shape() == operand.shape() ? grad : sum_to(grad, operand.shape()));
}

// The tie of maximum and minimum goes to the first operand, as in Chainer.
template <class Op, class FirstWins>
Variable extremum(const Variable& a, const Variable& b, FirstWins first_wins) {
  const Operands x = promoted(a, b, promote(a.dtype(), b.dtype()));
  return record(
      Op::name, run<Op>(x),
      [a = Saved(x.a), b = Saved(x.b), first_wins](Backward& ctx) {
        const Variable first = first_wins(Variable(a.array()), Variable(b.array()));
        const Variable& g = ctx.grad();
        const Variable zero = scalar_like(g, 0.0, ScalarKind::floating);
        if (ctx.needs(0)) set_summed(ctx, 0, where(first, g, zero), a.array());
        if (ctx.needs(1)) set_summed(ctx, 1, where(first, zero, g), b.array());
      },
      x.a, x.b);
}

}  // namespace

Variable add(const Variable& a, const Variable& b) {
  const Operands x = promoted(a, b, promote(a.dtype(), b.dtype()));
  return record(
      Add::name, run<Add>(x),
      [sa = x.a.shape(), sb = x.b.shape()](Backward& ctx) {
        const Variable& g = ctx.grad();
        if (ctx.needs(0)) ctx.set(0, g.shape() == sa ? g : sum_to(g, sa));
        if (ctx.needs(1)) ctx.set(1, g.shape() == sb ? g : sum_to(g, sb));
      },
      x.a, x.b);
}

Variable subtract(const Variable& a, const Variable& b) {
  const Operands x = promoted(a, b, promote(a.dtype(), b.dtype()));
  if (x.a.dtype() == Dtype::bool_) {
    throw TypeError("[subtract] bool has no difference: got bool and bool, expected numbers");
  }
  return record(
      Subtract::name, run<Subtract>(x),
      [sa = x.a.shape(), sb = x.b.shape()](Backward& ctx) {
        const Variable& g = ctx.grad();
        if (ctx.needs(0)) ctx.set(0, g.shape() == sa ? g : sum_to(g, sa));
        if (ctx.needs(1)) ctx.set(1, negative(g.shape() == sb ? g : sum_to(g, sb)));
      },
      x.a, x.b);
}

Variable multiply(const Variable& a, const Variable& b) {
  const Operands x = promoted(a, b, promote(a.dtype(), b.dtype()));
  return record(
      Multiply::name, run<Multiply>(x),
      [a = Saved(x.a), b = Saved(x.b)](Backward& ctx) {
        const Variable& g = ctx.grad();
        if (ctx.needs(0)) set_summed(ctx, 0, multiply(g, b.unpack("multiply")), a.array());
        if (ctx.needs(1)) set_summed(ctx, 1, multiply(g, a.unpack("multiply")), b.array());
      },
      x.a, x.b);
}

Variable divide(const Variable& a, const Variable& b) {
  // NumPy divides integers in float64, whatever their size.
  Dtype dtype = promote(a.dtype(), b.dtype());
  if (!is_floating(dtype)) dtype = Dtype::float64;
  const Operands x = promoted(a, b, dtype);
  return record(
      Divide::name, run<Divide>(x),
      [a = Saved(x.a), b = Saved(x.b)](Backward& ctx) {
        const Variable divisor = b.unpack("divide");
        const Variable ga = divide(ctx.grad(), divisor);
        if (ctx.needs(0)) set_summed(ctx, 0, ga, a.array());
        if (ctx.needs(1)) {
          const Variable quotient = divide(a.unpack("divide"), divisor);
          set_summed(ctx, 1, negative(multiply(ga, quotient)), b.array());
        }
      },
      x.a, x.b);
}

Variable floor_divide(const Variable& a, const Variable& b) {
  Dtype dtype = promote(a.dtype(), b.dtype());
  if (dtype == Dtype::bool_) dtype = Dtype::int8;
  return Variable(run<FloorDivide>(promoted(a, b, dtype)));
}

Variable power(const Variable& a, const Variable& b) {
  Dtype dtype = promote(a.dtype(), b.dtype());
  if (dtype == Dtype::bool_) dtype = Dtype::int8;
  const Operands x = promoted(a, b, dtype);
  if (!is_floating(dtype)) return Variable(run<Power>(x));
  return record(
      Power::name, run<Power>(x),
      [a = Saved(x.a), b = Saved(x.b)](Backward& ctx) {
        const Variable base = a.unpack("power");
        const Variable exponent = b.unpack("power");
        const Variable& g = ctx.grad();
        if (ctx.needs(0)) {
          // b a^(b-1), with 0 where b is 0 (there a^(b-1) may be infinite).
          const Variable zero = scalar_like(g, 0.0, ScalarKind::floating);
          const Variable one = scalar_like(g, 1.0, ScalarKind::floating);
          const Variable is_zero = equal(Variable(b.array()), zero);
          const Variable lowered = power(base, where(is_zero, one, subtract(exponent, one)));
          set_summed(ctx, 0, multiply(g, multiply(exponent, lowered)), a.array());
        }
        if (ctx.needs(1)) {
          // a^b log(a), with 0 where a is 0 (the limit for b > 0).
          const Variable zero = scalar_like(g, 0.0, ScalarKind::floating);
          const Variable one = scalar_like(g, 1.0, ScalarKind::floating);
          const Variable is_zero = equal(Variable(a.array()), zero);
          const Variable logarithm = log(where(is_zero, one, base));
          set_summed(ctx, 1, multiply(g, multiply(power(base, exponent), logarithm)), b.array());
        }
      },
      x.a, x.b);
}

Variable maximum(const Variable& a, const Variable& b) {
  return extremum<Maximum>(a, b, greater_equal);
}
Variable minimum(const Variable& a, const Variable& b) {
  return extremum<Minimum>(a, b, less_equal);
}

Variable equal(const Variable& a, const Variable& b) { return compare<Equal>(a, b); }
Variable not_equal(const Variable& a, const Variable& b) { return compare<NotEqual>(a, b); }
Variable less(const Variable& a, const Variable& b) { return compare<Less>(a, b); }
Variable less_equal(const Variable& a, const Variable& b) { return compare<LessEqual>(a, b); }
Variable greater(const Variable& a, const Variable& b) { return compare<Greater>(a, b); }
Variable greater_equal(const Variable& a, const Variable& b) { return compare<GreaterEqual>(a, b); }

}  // namespace chainrule
