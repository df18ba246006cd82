#include "chainrule/backend/cpu/kernels/kernels.h"
#include "chainrule/backend/cpu/kernels/loop.h"
#include "chainrule/core/dtype.h"
#include "chainrule/functors/activation.h"
#include "chainrule/functors/arithmetic.h"
#include "chainrule/functors/explog.h"

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

// Halves go through float for the higher derivatives, which nobody waits for.
template <class Op>
void add_op(KernelRegistrar add) {
  const char* order1 = derivative_name<Op, 1>.text;
  const char* order2 = derivative_name<Op, 2>.text;
  const char* order3 = derivative_name<Op, 3>.text;
  const auto put = [&](const char* name, Dtype dtype, ElementwiseFunction* function) {
    add(name, static_cast<int>(dtype), reinterpret_cast<void*>(function));
  };
  put(order1, Dtype::float32, derivative_kernel<1, Op, float>);
  put(order1, Dtype::float64, derivative_kernel<1, Op, double>);
  put(order1, Dtype::float16, derivative_kernel<1, Op, Float16>);
  put(order1, Dtype::bfloat16, derivative_kernel<1, Op, BFloat16>);
  put(order2, Dtype::float32, derivative_kernel<2, Op, float>);
  put(order2, Dtype::float64, derivative_kernel<2, Op, double>);
  put(order3, Dtype::float32, derivative_kernel<3, Op, float>);
  put(order3, Dtype::float64, derivative_kernel<3, Op, double>);
}

template <class... Ops>
void add_ops(KernelRegistrar add, List<Ops...>) {
  (add_op<Ops>(add), ...);
}

}  // namespace

void register_derivatives(KernelRegistrar add) {
  add_ops(add, Activations{});
  add_ops(add, ExpLog{});
  add_ops(add, UnaryArithmetic{});
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
