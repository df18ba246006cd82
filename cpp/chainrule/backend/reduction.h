#pragma once

#include "chainrule/backend/kernel.h"
#include "chainrule/backend/reduction_plan.h"

namespace chainrule {

using ReductionKernel = Kernel<ReductionFunction>;

struct ReductionOptions {
  double divisor = 1.0;
  // What partial results of one output are kept in where it is shared among threads: for floats
  // float64 for sums, what elements are computed in for others.
  Dtype wide = Dtype::float64;
};

// Reduces the sorted `axes` of x into `out`: C-contiguous, one element per kept element of x,
// of the dtype the kernel gives. Takes any layout of x.
CHAINRULE_API void run_reduction(const ReductionKernel& kernel,
                                 const Array& out,
                                 const Array& x,
                                 const Axes& axes,
                                 const ReductionOptions& options);

// The same for kernels that tell a place along one axis ("argmax"): out is int32.
CHAINRULE_API void run_find(const ReductionKernel& kernel,
                            const Array& out,
                            const Array& x,
                            int axis);

}  // namespace chainrule
