#pragma once

#include "chainrule/backend/kernel_registrar.h"
#include "chainrule/functors/host_device.h"

// What one instruction set provides; each function stands in the file of its name.
#define CHAINRULE_KERNEL_FILES                    \
  void register_unary(KernelRegistrar add);       \
  void register_derivatives(KernelRegistrar add); \
  void register_binary(KernelRegistrar add);      \
  void register_copy(KernelRegistrar add);        \
  void register_select(KernelRegistrar add);      \
  void register_reduction(KernelRegistrar add);

// Calls them all; only register.cpp needs it.
#define CHAINRULE_REGISTER_ALL                     \
  static void register_all(KernelRegistrar add) {  \
    register_unary(add);                           \
    register_derivatives(add);                     \
    register_binary(add);                          \
    register_copy(add);                            \
    register_select(add);                          \
    register_reduction(add);                       \
  }

namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {
CHAINRULE_KERNEL_FILES
}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
