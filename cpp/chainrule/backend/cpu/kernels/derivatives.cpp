#include "chainrule/backend/cpu/kernels/kernels.h"
#include "chainrule/backend/cpu/kernels/loop.h"
#include "chainrule/core/dtype.h"
#include "chainrule/functors/instances.h"

namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {
namespace {

using namespace functors;

template <int Order, class Op, class T>
void derivative_kernel(const ElementwisePlan& plan, std::int64_t begin, std::int64_t end) {
  const Op op(plan.params);
  map2<T, T, T>(plan, begin, end,
                [&](Compute<T> s, Compute<T> u) { return derivative<Order>(op, s, u); });
}

}  // namespace

void register_derivatives(KernelRegistrar add) {
  for_each_derivative([&]<class Op, class T, int Order>() {
    if constexpr (kIsBaseline || Order == 1) {
      add(derivative_name<Op, Order>.text, static_cast<int>(dtype_of<T>),
          reinterpret_cast<void*>(derivative_kernel<Order, Op, T>));
    }
  });
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
