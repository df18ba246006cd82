#pragma once

#include <initializer_list>

#include "chainrule/backend/kernel.h"
#include "chainrule/backend/plan.h"

// Arrays in, arrays out, no gradients: what ops are made of.
namespace chainrule {

using ElementwiseKernel = Kernel<ElementwiseFunction>;

// Runs `kernel`, found by `dtype`, over `out` and inputs that broadcast to its shape. Inputs
// must be of the dtype the kernel reads. Where there is no kernel for a half type, the call
// is carried out in float32.
CHAINRULE_API void run_elementwise(const ElementwiseKernel& kernel,
                                   Dtype dtype,
                                   const Array& out,
                                   std::initializer_list<const Array*> inputs,
                                   const double* params = nullptr);

// Throws unless all arrays lie on one device, which is returned.
CHAINRULE_API Device common_device(const char* op, std::initializer_list<const Array*> arrays);

// `out[...] = value`, any layout.
CHAINRULE_API void fill(const Array& out, double value);
CHAINRULE_API Array filled(const Shape& shape, Dtype dtype, Device device, double value);
// `out[...] = x` with broadcasting and conversion, any layouts; on one device.
CHAINRULE_API void copy_into(const Array& out, const Array& x);
// The array itself where it is already so, a copy otherwise.
CHAINRULE_API Array as_dtype(const Array& x, Dtype dtype);
CHAINRULE_API Array as_contiguous(const Array& x);
// Always new memory, C-contiguous.
CHAINRULE_API Array copied(const Array& x);

}  // namespace chainrule
