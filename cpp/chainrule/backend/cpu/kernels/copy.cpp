#include "chainrule/backend/cpu/kernels/kernels.h"
#include "chainrule/backend/cpu/kernels/loop.h"
#include "chainrule/core/dtype.h"
#include "chainrule/functors/instances.h"

// Copies between any two layouts and dtypes, and filling. One kernel per target dtype, named
// after the source dtype: "copy.from_float32"[float64].
namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {
namespace {

using namespace functors;

template <class To, class From>
void copy(const ElementwisePlan& plan, std::int64_t begin, std::int64_t end) {
  map1<To, From>(plan, begin, end, [](Compute<From> x) { return convert<To>(x); });
}

template <class T>
void fill(const ElementwisePlan& plan, std::int64_t begin, std::int64_t end) {
  const auto value = convert<T>(plan.params[0]);
  const int i = plan.ndim - 1;
  walk<1>(plan, begin, end, [&](char* const* p, std::int64_t n) {
    if (plan.strides[0][i] == sizeof(T)) {
      for (std::int64_t k = 0; k < n; ++k) {
        store<T>(p[0] + k * static_cast<std::int64_t>(sizeof(T)), value);
      }
    } else {
      for (std::int64_t k = 0; k < n; ++k) store<T>(p[0] + k * plan.strides[0][i], value);
    }
  });
}

}  // namespace

void register_copy(KernelRegistrar add) {
  for_each_copy([&]<class From, class To>() {
    if constexpr (speeds_up<From> && speeds_up<To>) {
      add(copy_name<From>, static_cast<int>(dtype_of<To>), reinterpret_cast<void*>(copy<To, From>));
    }
  });
  for_each_type(AllTypes{}, [&]<class T>() {
    add("fill", static_cast<int>(dtype_of<T>), reinterpret_cast<void*>(fill<T>));
  });
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
