#pragma once

#include <cstdint>

namespace chainrule {

// One elementwise call, ready to run: dimensions coalesced, operand 0 is the output, strides
// in bytes, innermost dimension last. Plain data, because kernels compiled for newer
// instruction sets may share nothing else with the rest of the library.
struct ElementwisePlan {
  static constexpr int kMaxDims = 8;
  static constexpr int kMaxOperands = 5;

  std::int32_t ndim;
  std::int16_t operand_count;
  std::int16_t device = 0;  // which of its kind
  std::int64_t size;
  std::int64_t shape[kMaxDims];
  char* data[kMaxOperands];
  std::int64_t strides[kMaxOperands][kMaxDims];
  const double* params;
};

// Runs elements begin..end of the plan, in row-major order.
using ElementwiseFunction = void(const ElementwisePlan& plan, std::int64_t begin, std::int64_t end);

}  // namespace chainrule
