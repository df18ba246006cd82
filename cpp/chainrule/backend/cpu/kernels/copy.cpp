#include "chainrule/backend/cpu/kernels/kernels.h"
#include "chainrule/backend/cpu/kernels/loop.h"
#include "chainrule/core/dtype.h"

// Copies between any two layouts and dtypes, and filling. One kernel per target dtype, named
// after the source dtype: "copy.from_float32"[float64].
namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {
namespace {

// As NumPy's astype, but defined for every value: floats outside an integer's range saturate
// at 64 bits and then wrap, NaN becomes 0.
template <class To, class From>
CR_INLINE Compute<To> convert(From value) {
  if constexpr (__is_same(Compute<To>, bool)) {
    return value != From(0);
  } else if constexpr (functors::math::Real<From> && !functors::math::Real<Compute<To>>) {
    const double x = static_cast<double>(value);
    const double inside = x >= -9223372036854775808.0 && x < 9223372036854775808.0 ? x : 0.0;
    return static_cast<To>(static_cast<std::int64_t>(inside));
  } else {
    return static_cast<Compute<To>>(value);
  }
}

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

template <class From, class... To>
void add_copies(KernelRegistrar add, const char* name) {
  (add(name, static_cast<int>(dtype_of<To>), reinterpret_cast<void*>(copy<To, From>)), ...);
}

template <class From>
void add_source(KernelRegistrar add, const char* name) {
  add_copies<From, bool, std::uint8_t, std::int8_t, std::int16_t, std::int32_t, std::int64_t,
             Float16, BFloat16, float, double>(add, name);
}

template <class... Ts>
void add_fills(KernelRegistrar add) {
  (add("fill", static_cast<int>(dtype_of<Ts>), reinterpret_cast<void*>(fill<Ts>)), ...);
}

}  // namespace

void register_copy(KernelRegistrar add) {
  add_source<bool>(add, "copy.from_bool");
  add_source<std::uint8_t>(add, "copy.from_uint8");
  add_source<std::int8_t>(add, "copy.from_int8");
  add_source<std::int16_t>(add, "copy.from_int16");
  add_source<std::int32_t>(add, "copy.from_int32");
  add_source<std::int64_t>(add, "copy.from_int64");
  add_source<Float16>(add, "copy.from_float16");
  add_source<BFloat16>(add, "copy.from_bfloat16");
  add_source<float>(add, "copy.from_float32");
  add_source<double>(add, "copy.from_float64");
  add_fills<bool, std::uint8_t, std::int8_t, std::int16_t, std::int32_t, std::int64_t, Float16,
            BFloat16, float, double>(add);
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
