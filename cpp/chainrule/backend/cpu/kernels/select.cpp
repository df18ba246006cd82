#include "chainrule/backend/cpu/kernels/kernels.h"
#include "chainrule/backend/cpu/kernels/loop.h"
#include "chainrule/core/dtype.h"

namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {
namespace {

// Moves bits: one instance per item size would do, but the column is chosen by dtype.
template <class T>
void where(const ElementwisePlan& plan, std::int64_t begin, std::int64_t end) {
  map3<T, bool, T, T>(plan, begin, end, [](bool c, Compute<T> a, Compute<T> b) {
    return c ? a : b;
  });
}

template <class... Ts>
void add_types(KernelRegistrar add) {
  (add("where", static_cast<int>(dtype_of<Ts>), reinterpret_cast<void*>(where<Ts>)), ...);
}

}  // namespace

void register_select(KernelRegistrar add) {
  add_types<bool, std::uint8_t, std::int8_t, std::int16_t, std::int32_t, std::int64_t, Float16,
            BFloat16, float, double>(add);
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
