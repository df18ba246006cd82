#pragma once

#include "chainrule/core/api.h"
#include "chainrule/core/array.h"

namespace chainrule {

// Whether a device divides by norms that it does not tell the host first.
CHAINRULE_API bool has_normalize(Device device, Dtype dtype);

// out[i] = x[i] / max(|x[i]|, eps) for the arrays x[i], |x[i]| their Euclidean norms, summed in
// double. Where has_normalize; both contiguous, `out` of any floating dtype.
CHAINRULE_API void normalize(const Array& out, const Array& x, double eps);

}  // namespace chainrule
