#include "chainrule/core/dtype.h"

#include <algorithm>
#include <ostream>

namespace chainrule {
namespace {

constexpr std::string_view kNames[kDtypeCount] = {"bool",    "uint8",  "int8",    "int16",
                                                  "int32",   "int64",  "float16", "bfloat16",
                                                  "float32", "float64"};

// The smallest float that holds an integer dtype, by NumPy's table.
Dtype float_for(Dtype integral) {
  switch (item_size(integral)) {
    case 1:
      return Dtype::float16;
    case 2:
      return Dtype::float32;
    default:
      return Dtype::float64;
  }
}

}  // namespace

std::string_view dtype_name(Dtype dtype) { return kNames[static_cast<int>(dtype)]; }

Dtype dtype_from_name(std::string_view name) {
  for (int i = 0; i < kDtypeCount; ++i) {
    if (kNames[i] == name) return static_cast<Dtype>(i);
  }
  throw TypeError(cat("[dtype] unknown dtype: got '", name,
                      "', expected one of bool, uint8, int8, int16, int32, int64, float16, "
                      "bfloat16, float32, float64"));
}

std::ostream& operator<<(std::ostream& out, Dtype dtype) { return out << dtype_name(dtype); }

Dtype promote(Dtype a, Dtype b) {
  if (a == b) return a;
  if (a > b) std::swap(a, b);  // a is now of the lower kind or the smaller size
  if (a == Dtype::bool_) return b;
  if (is_floating(a)) return is_half(b) ? Dtype::float32 : b;
  if (is_floating(b)) {
    if (b == Dtype::bfloat16) {
      return item_size(a) == 1 ? b : promote(float_for(a), Dtype::float32);
    }
    return std::max(float_for(a), b);
  }
  if (a == Dtype::uint8) return b == Dtype::int8 ? Dtype::int16 : b;
  return b;
}

Dtype promote_scalar(Dtype array, ScalarKind scalar) {
  switch (scalar) {
    case ScalarKind::boolean:
      return array;
    case ScalarKind::integer:
      return array == Dtype::bool_ ? Dtype::int64 : array;
    case ScalarKind::floating:
      break;
  }
  return is_floating(array) ? array : Dtype::float64;
}

Dtype to_floating(Dtype dtype) {
  if (is_floating(dtype)) return dtype;
  return dtype == Dtype::bool_ ? Dtype::float16 : float_for(dtype);
}

}  // namespace chainrule
