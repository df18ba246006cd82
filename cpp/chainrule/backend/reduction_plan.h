#pragma once

#include <cstdint>

namespace chainrule {

// One reduction, ready to run. Dimensions are coalesced; those that are reduced come in any
// order of the caller's choice. The reduced elements of one output are cut into `chunks`
// ranges of `chunk_size`, each of which gives an output of its own: y[chunk][kept...], packed.
struct ReductionPlan {
  static constexpr int kMaxDims = 8;

  std::int32_t kept_ndim;
  std::int32_t reduced_ndim;
  std::int64_t kept_shape[kMaxDims];
  std::int64_t kept_strides[kMaxDims];
  std::int64_t reduced_shape[kMaxDims];
  std::int64_t reduced_strides[kMaxDims];
  std::int64_t outputs;  // kept elements
  std::int64_t count;    // elements behind each output
  std::int64_t chunks;
  std::int64_t chunk_size;
  const char* x;
  char* y;
  double divisor;           // of the result; 1 where the kernel does not divide
  bool wide;                // y holds accumulators rather than results
  std::int32_t device = 0;  // which of its kind
};

// Computes outputs begin..end of chunks * outputs.
using ReductionFunction = void(const ReductionPlan& plan, std::int64_t begin, std::int64_t end);

}  // namespace chainrule
