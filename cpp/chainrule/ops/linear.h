#pragma once

#include "chainrule/autograd/variable.h"

namespace chainrule {

// numpy.matmul with Chainer's transa/transb: batches broadcast, 1-d operands as in NumPy.
CHAINRULE_API Variable matmul(const Variable& a,
                              const Variable& b,
                              bool transa = false,
                              bool transb = false);

// y = x W^T + b for x (batch, in), W (out, in), b (out,) or undefined.
CHAINRULE_API Variable linear(const Variable& x, const Variable& w, const Variable& b);

}  // namespace chainrule
