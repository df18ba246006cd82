#pragma once

#include <cstdint>

namespace chainrule {

// y = x / max(|x|, eps) for each of `count` arrays of `size` elements, which lie one behind the
// other; |x| is the root of the sum of squares. A NaN stays one.
struct NormalizePlan {
  const void* x;
  void* y;
  std::int64_t count;
  std::int64_t size;
  double eps;
  std::int32_t device;
  std::uint8_t y_dtype;
};

// The column is the type of x.
using NormalizeFunction = void(const NormalizePlan& plan);

}  // namespace chainrule
