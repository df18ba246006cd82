#pragma once

#include <cstdint>

#include "chainrule/backend/plan.h"
#include "chainrule/functors/host_device.h"

// How an elementwise call is cut for a device: the host's half, free of CUDA.
namespace chainrule::cuda {

// Division by a number known before the kernel starts, for 0 <= n < 2^31: Granlund and
// Montgomery, "Division by Invariant Integers using Multiplication", 1994.
struct FastDivision {
  std::uint32_t divisor;
  std::uint32_t multiplier;
  std::uint32_t shift;

  FastDivision() = default;
  explicit FastDivision(std::uint32_t d) : divisor(d), shift(0) {
    while ((std::uint64_t{1} << shift) < d) ++shift;
    const std::uint64_t excess = (std::uint64_t{1} << shift) - d;
    multiplier = static_cast<std::uint32_t>((excess << 32) / d + 1);
  }
  CR_INLINE std::uint32_t quotient(std::uint32_t n) const {
    const auto high = static_cast<std::uint32_t>((std::uint64_t{multiplier} * n) >> 32);
    return (high + n) >> shift;
  }
};

// A call as a kernel sees it. A pack is `width` neighbours of the innermost dimension, which are
// moved at once; of an operand that repeats one element there, that element.
struct Range {
  char* data[ElementwisePlan::kMaxOperands];
  std::int64_t strides[ElementwisePlan::kMaxOperands][ElementwisePlan::kMaxDims];  // of packs
  bool repeated[ElementwisePlan::kMaxOperands];
  FastDivision shape[ElementwisePlan::kMaxDims];  // in packs
  std::int32_t ndim;
  std::uint32_t begin;  // packs begin..end, in row-major order,
  std::uint32_t end;
  std::uint32_t rest;  // then so many elements; none unless everything lies flat
};

// Cuts a call into pieces whose indices fit into 31 bits.
inline constexpr std::int64_t kMaxPiece = (std::int64_t{1} << 31) - 1;
using PieceFunction = void (*)(void* context,
                               const ElementwisePlan& piece,
                               std::int64_t begin,
                               std::int64_t end);
void for_each_piece(const ElementwisePlan& plan,
                    std::int64_t begin,
                    std::int64_t end,
                    std::int64_t max_piece,
                    PieceFunction function,
                    void* context);

// False unless elements begin..end of each operand can be moved `width` at once.
bool make_range(const ElementwisePlan& piece,
                std::int64_t begin,
                std::int64_t end,
                const int* item_sizes,
                int width,
                Range& range);

}  // namespace chainrule::cuda
