#include "chainrule/backend/cpu/kernels/kernels.h"
#include "chainrule/backend/cpu/kernels/loop.h"
#include "chainrule/core/dtype.h"
#include "chainrule/functors/instances.h"

namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {
namespace {

using namespace functors;

template <class Op, class T>
void forward(const ElementwisePlan& plan, std::int64_t begin, std::int64_t end) {
  const Op op(plan.params);
  map1<T, T>(plan, begin, end, [&](Compute<T> x) { return op.forward(x); });
}

}  // namespace

void register_unary(KernelRegistrar add) {
  for_each_unary([&]<class Op, class T>() {
    if constexpr (speeds_up<T>) {
      add(Op::name, static_cast<int>(dtype_of<T>), reinterpret_cast<void*>(forward<Op, T>));
    }
  });
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
