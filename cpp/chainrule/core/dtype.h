#pragma once

#include <cstdint>
#include <iosfwd>
#include <string_view>

#include "chainrule/core/api.h"
#include "chainrule/core/error.h"
#include "chainrule/functors/half.h"

namespace chainrule {

enum class Dtype : std::uint8_t {
  bool_,
  uint8,
  int8,
  int16,
  int32,
  int64,
  float16,
  bfloat16,
  float32,
  float64,
};

inline constexpr int kDtypeCount = 10;

template <class T>
struct TypeTag {
  using type = T;
};

// The one dtype switch of the repository: calls `f(TypeTag<T>{})`.
template <class F>
decltype(auto) visit(Dtype dtype, F&& f) {
  switch (dtype) {
    case Dtype::bool_:
      return f(TypeTag<bool>{});
    case Dtype::uint8:
      return f(TypeTag<std::uint8_t>{});
    case Dtype::int8:
      return f(TypeTag<std::int8_t>{});
    case Dtype::int16:
      return f(TypeTag<std::int16_t>{});
    case Dtype::int32:
      return f(TypeTag<std::int32_t>{});
    case Dtype::int64:
      return f(TypeTag<std::int64_t>{});
    case Dtype::float16:
      return f(TypeTag<Float16>{});
    case Dtype::bfloat16:
      return f(TypeTag<BFloat16>{});
    case Dtype::float32:
      return f(TypeTag<float>{});
    case Dtype::float64:
      break;
  }
  return f(TypeTag<double>{});
}

template <class T>
inline constexpr Dtype dtype_of = Dtype::float64;
template <>
inline constexpr Dtype dtype_of<bool> = Dtype::bool_;
template <>
inline constexpr Dtype dtype_of<std::uint8_t> = Dtype::uint8;
template <>
inline constexpr Dtype dtype_of<std::int8_t> = Dtype::int8;
template <>
inline constexpr Dtype dtype_of<std::int16_t> = Dtype::int16;
template <>
inline constexpr Dtype dtype_of<std::int32_t> = Dtype::int32;
template <>
inline constexpr Dtype dtype_of<std::int64_t> = Dtype::int64;
template <>
inline constexpr Dtype dtype_of<Float16> = Dtype::float16;
template <>
inline constexpr Dtype dtype_of<BFloat16> = Dtype::bfloat16;
template <>
inline constexpr Dtype dtype_of<float> = Dtype::float32;

constexpr int item_size(Dtype dtype) {
  constexpr int sizes[kDtypeCount] = {1, 1, 1, 2, 4, 8, 2, 2, 4, 8};
  return sizes[static_cast<int>(dtype)];
}

constexpr bool is_floating(Dtype dtype) { return dtype >= Dtype::float16; }
constexpr bool is_half(Dtype dtype) { return dtype == Dtype::float16 || dtype == Dtype::bfloat16; }
constexpr bool is_integral(Dtype dtype) { return dtype > Dtype::bool_ && dtype < Dtype::float16; }

// The type that sums and element maths run in: float for halves, the type itself otherwise.
constexpr Dtype compute_dtype(Dtype dtype) { return is_half(dtype) ? Dtype::float32 : dtype; }

CHAINRULE_API std::string_view dtype_name(Dtype dtype);
CHAINRULE_API Dtype dtype_from_name(std::string_view name);
CHAINRULE_API std::ostream& operator<<(std::ostream& out, Dtype dtype);

// NumPy's rule for two arrays; float16 with bfloat16 gives float32.
CHAINRULE_API Dtype promote(Dtype a, Dtype b);

// NumPy 2's rule (NEP 50) for an array with a bare Python number: the array's dtype stands
// unless the number is of a higher kind (bool < integer < floating).
enum class ScalarKind : std::uint8_t { boolean, integer, floating };
CHAINRULE_API Dtype promote_scalar(Dtype array, ScalarKind scalar);

// What a true division or exp makes of a dtype: floats stay, the rest becomes as in NumPy.
CHAINRULE_API Dtype to_floating(Dtype dtype);

}  // namespace chainrule
