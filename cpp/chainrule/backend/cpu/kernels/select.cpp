#include "chainrule/backend/cpu/kernels/kernels.h"
#include "chainrule/backend/cpu/kernels/loop.h"
#include "chainrule/core/dtype.h"
#include "chainrule/functors/instances.h"

namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {
namespace {

using namespace functors;

// Moves bits: one instance per item size would do, but the column is chosen by dtype.
template <class T>
void where(const ElementwisePlan& plan, std::int64_t begin, std::int64_t end) {
  map3<T, bool, T, T>(plan, begin, end,
                      [](bool c, Compute<T> a, Compute<T> b) { return c ? a : b; });
}

}  // namespace

void register_select(KernelRegistrar add) {
  for_each_type(AllTypes{}, [&]<class T>() {
    add("where", static_cast<int>(dtype_of<T>), reinterpret_cast<void*>(where<T>));
  });
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
