#include "chainrule/core/dtype.h"
#include "chainrule/functors/instances.h"
#include "kernels.h"
#include "loop.cuh"

// Copies between any two layouts and dtypes, and filling; see the CPU's copy.cpp.
namespace chainrule::cuda {
namespace {

using namespace functors;

template <class To>
struct Convert {
  template <class T>
  CR_INLINE Compute<To> operator()(T x) const {
    return convert<To>(x);
  }
};

template <class To, class From>
void copy(const ElementwisePlan& plan, std::int64_t begin, std::int64_t end) {
  map<Paths::both, To, From>(plan, begin, end, Convert<To>());
}

template <class T>
struct Constant {
  Compute<T> value;
  CR_INLINE Compute<T> operator()() const { return value; }
};

template <class T>
void fill(const ElementwisePlan& plan, std::int64_t begin, std::int64_t end) {
  map<Paths::both, T>(plan, begin, end, Constant<T>{convert<T>(plan.params[0])});
}

}  // namespace

void register_copy(KernelRegistrar add) {
  for_each_copy([&]<class From, class To>() {
    add(copy_name<From>, static_cast<int>(dtype_of<To>), reinterpret_cast<void*>(copy<To, From>));
  });
  for_each_type(AllTypes{}, [&]<class T>() {
    add("fill", static_cast<int>(dtype_of<T>), reinterpret_cast<void*>(fill<T>));
  });
}

}  // namespace chainrule::cuda
