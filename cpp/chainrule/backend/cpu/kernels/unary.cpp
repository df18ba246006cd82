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

template <class Op, class T>
void forward(const ElementwisePlan& plan, std::int64_t begin, std::int64_t end) {
  const Op op(plan.params);
  map1<T, T>(plan, begin, end, [&](Compute<T> x) { return op.forward(x); });
}

template <class Op, class... Ts>
void add_types(KernelRegistrar add) {
  (add(Op::name, static_cast<int>(dtype_of<Ts>), reinterpret_cast<void*>(forward<Op, Ts>)), ...);
}

template <class... Ops>
void add_floating(KernelRegistrar add, List<Ops...>) {
  (add_types<Ops, float, double, Float16, BFloat16>(add), ...);
}

template <class... Ops>
void add_integral(KernelRegistrar add, List<Ops...>) {
  (add_types<Ops, std::uint8_t, std::int8_t, std::int16_t, std::int32_t, std::int64_t>(add), ...);
}

}  // namespace

void register_unary(KernelRegistrar add) {
  add_floating(add, Activations{});
  add_floating(add, ExpLog{});
  add_floating(add, UnaryArithmetic{});
  add_integral(add, UnaryArithmetic{});
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
