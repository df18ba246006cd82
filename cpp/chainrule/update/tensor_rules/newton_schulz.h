#pragma once

#include "chainrule/core/api.h"
#include "chainrule/core/array.h"

namespace chainrule {

// A batch of matrices (count, rows, columns), brought near the orthogonal matrices next to them:
// the singular values of x / |x| all come close to one, its singular vectors stay. `x` is
// overwritten; the result may lie in it. A step of the iteration is
//   x <- a x + (b x x^T + c (x x^T)^2) x
// `dtype` is what it is computed in: that of x, or bfloat16, where the device multiplies that.
// `norms` are the Frobenius norms, or eps where those are less.
CHAINRULE_API Array newton_schulz(const Array& x, const double* norms, int steps, Dtype dtype);
// The same where has_normalize: the norms do not leave the device.
CHAINRULE_API Array newton_schulz(const Array& x, double eps, int steps, Dtype dtype);

}  // namespace chainrule
