#pragma once

#include "chainrule/backend/kernel_registrar.h"
#include "chainrule/functors/convert.h"

// What one instruction set provides; each function stands in the file of its name.
#define CHAINRULE_KERNEL_FILES                    \
  void register_unary(KernelRegistrar add);       \
  void register_derivatives(KernelRegistrar add); \
  void register_binary(KernelRegistrar add);      \
  void register_copy(KernelRegistrar add);        \
  void register_select(KernelRegistrar add);      \
  void register_reduction(KernelRegistrar add);   \
  void register_update(KernelRegistrar add);

// Calls them all; only register.cpp needs it.
#define CHAINRULE_REGISTER_ALL                     \
  static void register_all(KernelRegistrar add) {  \
    register_unary(add);                           \
    register_derivatives(add);                     \
    register_binary(add);                          \
    register_copy(add);                            \
    register_select(add);                          \
    register_reduction(add);                       \
    register_update(add);                          \
  }

namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {

#define CHAINRULE_TEXT_OF(x) #x
#define CHAINRULE_TEXT(x) CHAINRULE_TEXT_OF(x)

// The baseline holds every kernel; newer instruction sets replace those they make faster, which
// are the ones on floats. `speeds_up<T>` is always true in the baseline.
inline constexpr bool kIsBaseline = CHAINRULE_TEXT(CHAINRULE_ISA)[0] == 'b';
template <class T>
inline constexpr bool speeds_up = kIsBaseline || __is_same(functors::Compute<T>, float) ||
                                  __is_same(functors::Compute<T>, double);

CHAINRULE_KERNEL_FILES
}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
