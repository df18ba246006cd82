#pragma once

#include "chainrule/backend/kernel_registrar.h"

// What the plug-in provides: the file X.cu of this folder has a register_X.
namespace chainrule::cuda {

void register_unary(KernelRegistrar add);
void register_derivatives(KernelRegistrar add);
void register_binary(KernelRegistrar add);
void register_copy(KernelRegistrar add);
void register_select(KernelRegistrar add);
void register_update(KernelRegistrar add);
void register_gemm(KernelRegistrar add);
void register_normalize(KernelRegistrar add);
void register_reduction(KernelRegistrar add);

inline void register_kernels(KernelRegistrar add) {
  register_unary(add);
  register_derivatives(add);
  register_binary(add);
  register_copy(add);
  register_select(add);
  register_update(add);
  register_gemm(add);
  register_normalize(add);
  register_reduction(add);
}

}  // namespace chainrule::cuda
