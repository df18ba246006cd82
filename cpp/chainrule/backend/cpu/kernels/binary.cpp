#include "chainrule/backend/cpu/kernels/kernels.h"
#include "chainrule/backend/cpu/kernels/loop.h"
#include "chainrule/core/dtype.h"
#include "chainrule/functors/instances.h"

namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {
namespace {

using namespace functors;

template <class Op, class T, class Out>
void binary(const ElementwisePlan& plan, std::int64_t begin, std::int64_t end) {
  map2<Out, T, T>(plan, begin, end, [](Compute<T> a, Compute<T> b) { return Op()(a, b); });
}

}  // namespace

void register_binary(KernelRegistrar add) {
  for_each_binary([&]<class Op, class T>() {
    if constexpr (speeds_up<T>) {
      add(Op::name, static_cast<int>(dtype_of<T>), reinterpret_cast<void*>(binary<Op, T, T>));
    }
  });
  for_each_comparison([&]<class Op, class T>() {
    if constexpr (speeds_up<T>) {
      add(Op::name, static_cast<int>(dtype_of<T>), reinterpret_cast<void*>(binary<Op, T, bool>));
    }
  });
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
