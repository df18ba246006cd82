#pragma once

#include "chainrule/autograd/variable.h"

// Elementwise ops with NumPy's broadcasting. Integers and bools are promoted as in NumPy.
namespace chainrule {

CHAINRULE_API Variable negative(const Variable& x);
CHAINRULE_API Variable square(const Variable& x);
CHAINRULE_API Variable absolute(const Variable& x);
CHAINRULE_API Variable clip(const Variable& x, double low, double high);
CHAINRULE_API Variable exp(const Variable& x);
CHAINRULE_API Variable log(const Variable& x);
CHAINRULE_API Variable sqrt(const Variable& x);
CHAINRULE_API Variable relu(const Variable& x);
CHAINRULE_API Variable leaky_relu(const Variable& x, double slope);
CHAINRULE_API Variable elu(const Variable& x, double alpha);
CHAINRULE_API Variable sigmoid(const Variable& x);
CHAINRULE_API Variable tanh(const Variable& x);
CHAINRULE_API Variable softplus(const Variable& x, double beta);

CHAINRULE_API Variable add(const Variable& a, const Variable& b);
CHAINRULE_API Variable subtract(const Variable& a, const Variable& b);
CHAINRULE_API Variable multiply(const Variable& a, const Variable& b);
CHAINRULE_API Variable divide(const Variable& a, const Variable& b);
CHAINRULE_API Variable floor_divide(const Variable& a, const Variable& b);
CHAINRULE_API Variable power(const Variable& a, const Variable& b);
CHAINRULE_API Variable maximum(const Variable& a, const Variable& b);
CHAINRULE_API Variable minimum(const Variable& a, const Variable& b);

// Comparisons give bool and no gradient.
CHAINRULE_API Variable equal(const Variable& a, const Variable& b);
CHAINRULE_API Variable not_equal(const Variable& a, const Variable& b);
CHAINRULE_API Variable less(const Variable& a, const Variable& b);
CHAINRULE_API Variable less_equal(const Variable& a, const Variable& b);
CHAINRULE_API Variable greater(const Variable& a, const Variable& b);
CHAINRULE_API Variable greater_equal(const Variable& a, const Variable& b);

// x where condition holds, y elsewhere.
CHAINRULE_API Variable where(const Variable& condition, const Variable& x, const Variable& y);

CHAINRULE_API Variable cast(const Variable& x, Dtype dtype);
CHAINRULE_API Variable broadcast_to(const Variable& x, const Shape& shape);
// The inverse: sums what broadcasting repeated, so that the result has `shape`.
CHAINRULE_API Variable sum_to(const Variable& x, const Shape& shape);

// A constant of x's device, 0-d; follows x's dtype as a bare Python number does.
CHAINRULE_API Variable scalar_like(const Variable& x, double value, ScalarKind kind);

}  // namespace chainrule
