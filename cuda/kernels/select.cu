#include "chainrule/core/dtype.h"
#include "chainrule/functors/instances.h"
#include "kernels.h"
#include "loop.cuh"

namespace chainrule::cuda {
namespace {

using namespace functors;

struct Select {
  template <class T>
  CR_INLINE T operator()(bool c, T a, T b) const {
    return c ? a : b;
  }
};

template <class T>
void where(const ElementwisePlan& plan, std::int64_t begin, std::int64_t end) {
  map<Paths::both, T, bool, T, T>(plan, begin, end, Select());
}

}  // namespace

void register_select(KernelRegistrar add) {
  for_each_type(AllTypes{}, [&]<class T>() {
    add("where", static_cast<int>(dtype_of<T>), reinterpret_cast<void*>(where<T>));
  });
}

}  // namespace chainrule::cuda
