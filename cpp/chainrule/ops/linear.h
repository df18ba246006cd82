#pragma once

#include "chainrule/autograd/variable.h"

namespace chainrule {

// numpy.matmul with Chainer's transa/transb: batches broadcast, 1-d operands as in NumPy.
CHAINRULE_API Variable matmul(const Variable& a,
                              const Variable& b,
                              bool transa = false,
                              bool transb = false);

// y = x W^T + b for W (out, in) and b (out,) or undefined. The first `batch_axes` dimensions of x
// number the rows, the others together are the `in` of each; y is (..., out).
CHAINRULE_API Variable linear(const Variable& x,
                              const Variable& w,
                              const Variable& b,
                              int batch_axes = 1);

}  // namespace chainrule
