#include "chainrule/core/dtype.h"
#include "chainrule/functors/instances.h"
#include "kernels.h"
#include "loop.cuh"

namespace chainrule::cuda {
namespace {

using namespace functors;

template <class Op, class T, class Out>
void binary(const ElementwisePlan& plan, std::int64_t begin, std::int64_t end) {
  map<Paths::both, Out, T, T>(plan, begin, end, Op());
}

}  // namespace

void register_binary(KernelRegistrar add) {
  for_each_binary([&]<class Op, class T>() {
    add(Op::name, static_cast<int>(dtype_of<T>), reinterpret_cast<void*>(binary<Op, T, T>));
  });
  for_each_comparison([&]<class Op, class T>() {
    add(Op::name, static_cast<int>(dtype_of<T>), reinterpret_cast<void*>(binary<Op, T, bool>));
  });
}

}  // namespace chainrule::cuda
