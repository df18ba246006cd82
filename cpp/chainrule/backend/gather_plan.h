#pragma once

#include <cstdint>

namespace chainrule {

// Elements at computed places: x[offsets[i] + rest] and y[i * y_step + rest], where `rest` walks
// over the dimensions below. Offsets, steps and strides in bytes.
struct GatherPlan {
  static constexpr int kMaxDims = 8;

  std::int32_t ndim;
  std::int64_t shape[kMaxDims];
  std::int64_t x_strides[kMaxDims];
  std::int64_t y_strides[kMaxDims];
  std::int64_t rest;  // product of shape
  std::int64_t count;
  const std::int64_t* offsets;
  char* x;
  char* y;
  std::int64_t y_step;
};

// Runs elements begin..end of `rest` for all places, or places begin..end for all of `rest`.
using GatherFunction = void(const GatherPlan& plan, std::int64_t begin, std::int64_t end);

}  // namespace chainrule
