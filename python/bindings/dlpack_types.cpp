#include "dlpack_types.h"

#include <type_traits>

namespace chainrule::python::dlpack {

DataType type_of(Dtype dtype) {
  return visit(dtype, []<class T>(TypeTag<T>) -> DataType {
    constexpr auto bits = static_cast<std::uint8_t>(8 * sizeof(T));
    if constexpr (std::is_same_v<T, bool>) return {6, bits, 1};
    if constexpr (std::is_same_v<T, BFloat16>) return {4, bits, 1};
    if constexpr (std::is_same_v<T, Float16> || std::is_floating_point_v<T>) return {2, bits, 1};
    return {static_cast<std::uint8_t>(std::is_signed_v<T> ? 0 : 1), bits, 1};
  });
}

std::optional<Dtype> dtype_of(const DataType& type) {
  for (int i = 0; i < kDtypeCount; ++i) {
    const auto known = type_of(static_cast<Dtype>(i));
    if (known.code == type.code && known.bits == type.bits && type.lanes == 1) {
      return static_cast<Dtype>(i);
    }
  }
  return std::nullopt;
}

}  // namespace chainrule::python::dlpack
