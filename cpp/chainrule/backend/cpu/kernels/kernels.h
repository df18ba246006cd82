#pragma once

#include "chainrule/backend/kernel_registrar.h"
#include "chainrule/functors/convert.h"

// What one instruction set provides: the file X.cpp of this folder has a register_X.
#define CHAINRULE_KERNEL_FILES(file)                                                      \
  file(unary) file(derivatives) file(binary) file(copy) file(select) file(reduction)      \
      file(indexing) file(random) file(gemm) file(softmax) file(cross_entropy) file(loss) \
          file(update)

#define CHAINRULE_DECLARE_KERNELS(file) void register_##file(KernelRegistrar add);
#define CHAINRULE_REGISTER_KERNELS(file) register_##file(add);

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

CHAINRULE_KERNEL_FILES(CHAINRULE_DECLARE_KERNELS)
}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
