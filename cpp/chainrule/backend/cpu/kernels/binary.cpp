#include "chainrule/backend/cpu/kernels/kernels.h"
#include "chainrule/backend/cpu/kernels/loop.h"
#include "chainrule/core/dtype.h"
#include "chainrule/functors/arithmetic.h"
#include "chainrule/functors/comparison.h"

namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {
namespace {

using namespace functors;

template <class Op, class T, class Out>
void binary(const ElementwisePlan& plan, std::int64_t begin, std::int64_t end) {
  map2<Out, T, T>(plan, begin, end, [](Compute<T> a, Compute<T> b) { return Op()(a, b); });
}

template <class Op, class... Ts>
void add_types(KernelRegistrar add) {
  (add(Op::name, static_cast<int>(dtype_of<Ts>), reinterpret_cast<void*>(binary<Op, Ts, Ts>)),
   ...);
}

template <class Op, class... Ts>
void add_comparison(KernelRegistrar add) {
  (add(Op::name, static_cast<int>(dtype_of<Ts>), reinterpret_cast<void*>(binary<Op, Ts, bool>)),
   ...);
}

template <class... Ops>
void add_floating(KernelRegistrar add, List<Ops...>) {
  (add_types<Ops, float, double, Float16, BFloat16>(add), ...);
}
template <class... Ops>
void add_integral(KernelRegistrar add, List<Ops...>) {
  (add_types<Ops, std::uint8_t, std::int8_t, std::int16_t, std::int32_t, std::int64_t>(add), ...);
}
template <class... Ops>
void add_comparisons(KernelRegistrar add, List<Ops...>) {
  (add_comparison<Ops, bool, std::uint8_t, std::int8_t, std::int16_t, std::int32_t, std::int64_t,
                  float, double, Float16, BFloat16>(add),
   ...);
}

}  // namespace

void register_binary(KernelRegistrar add) {
  add_floating(add, BinaryArithmetic{});
  add_integral(add, BinaryArithmetic{});
  add_floating(add, BinaryFloating{});
  add_floating(add, List<FloorDivide>{});
  add_integral(add, List<FloorDivide, IntegerPower>{});
  add_comparisons(add, Comparisons{});
  // Logic on booleans, as in NumPy: + and maximum are "or", * and minimum are "and".
  add_types<Add, bool>(add);
  add_types<Multiply, bool>(add);
  add_types<Maximum, bool>(add);
  add_types<Minimum, bool>(add);
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
