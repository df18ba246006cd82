#include "chainrule/core/dtype.h"
#include "chainrule/functors/instances.h"
#include "kernels.h"
#include "loop.cuh"

namespace chainrule::cuda {
namespace {

using namespace functors;

template <int Order, class Op>
struct Derivative {
  Op op;
  template <class T>
  CR_INLINE T operator()(T s, T u) const {
    return derivative<Order>(op, s, u);
  }
};

template <int Order, class Op, class T>
void derivative_kernel(const ElementwisePlan& plan, std::int64_t begin, std::int64_t end) {
  constexpr Paths paths = Order == 1 ? Paths::both : Paths::one_by_one;
  map<paths, T, T, T>(plan, begin, end, Derivative<Order, Op>{Op(plan.params)});
}

}  // namespace

void register_derivatives(KernelRegistrar add) {
  for_each_derivative([&]<class Op, class T, int Order>() {
    add(derivative_name<Op, Order>.text, static_cast<int>(dtype_of<T>),
        reinterpret_cast<void*>(derivative_kernel<Order, Op, T>));
  });
}

}  // namespace chainrule::cuda
