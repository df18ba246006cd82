#include "chainrule/core/dtype.h"
#include "chainrule/functors/instances.h"
#include "kernels.h"
#include "loop.cuh"

namespace chainrule::cuda {
namespace {

using namespace functors;

template <class Op>
struct Forward {
  Op op;
  template <class T>
  CR_INLINE T operator()(T x) const {
    return op.forward(x);
  }
};

template <class Op, class T>
void forward(const ElementwisePlan& plan, std::int64_t begin, std::int64_t end) {
  map<Paths::both, T, T>(plan, begin, end, Forward<Op>{Op(plan.params)});
}

}  // namespace

void register_unary(KernelRegistrar add) {
  for_each_unary([&]<class Op, class T>() {
    add(Op::name, static_cast<int>(dtype_of<T>), reinterpret_cast<void*>(forward<Op, T>));
  });
}

}  // namespace chainrule::cuda
