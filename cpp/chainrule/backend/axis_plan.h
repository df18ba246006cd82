#pragma once

#include <cstdint>

#include "chainrule/functors/host_device.h"

// What kernels that work along one axis are given. Plain data (see plan.h).
namespace chainrule {

// C-contiguous arrays seen as (outer, length, inner), the axis in the middle. The work comes in
// units: a line where inner is 1, kColumns neighbouring columns otherwise.
struct AxisPlan {
  static constexpr std::int64_t kColumns = 64;

  std::int64_t outer;
  std::int64_t length;
  std::int64_t inner;

  CR_INLINE std::int64_t blocks() const { return (inner + kColumns - 1) / kColumns; }
  CR_INLINE std::int64_t units() const { return outer * blocks(); }
};

struct SoftmaxPlan {
  AxisPlan axis;
  const void* x;  // for gradients, the result of the forward pass
  const void* g;
  void* y;
};
using SoftmaxFunction = void(const SoftmaxPlan& plan, std::int64_t begin, std::int64_t end);

// Labels as losses read them: 0..classes-1, or one of these.
inline constexpr std::int32_t kIgnoredLabel = -1;
inline constexpr std::int32_t kWrongLabel = -2;

struct LabelsPlan {
  const void* labels;
  std::int32_t* checked;
  std::int64_t classes;
  std::int64_t ignore_label;
  bool may_ignore;
};
struct LabelsResult {
  std::int64_t valid = 0;
  std::int64_t wrong = -1;  // index of the first label out of range
};
using LabelsFunction = LabelsResult(const LabelsPlan& plan, std::int64_t begin, std::int64_t end);

// A loss of a class per position, (outer, inner), from scores (outer, length, inner). Null
// where the field's name ends in a question mark.
struct CrossEntropyPlan {
  AxisPlan axis;
  const void* x;
  const std::int32_t* labels;
  const void* weights;  // ? per class
  void* stats;          // per position: the greatest score, 1 / sum of exp(score - greatest)
  void* losses;         // ? per position
  double* partials;     // ? per unit, the sum of its losses
  // The gradient: of position i, scale * g[i * g_step].
  const void* g;
  std::int64_t g_step;
  double scale;
  void* gx;
};
using CrossEntropyFunction = void(const CrossEntropyPlan& plan,
                                  std::int64_t begin,
                                  std::int64_t end);

// The same labels as numbers: ones (outer, length, inner), zeros before, gets a one at each label;
// weights (outer, inner) gets scale, times the weight of the class, or zero where ignored.
struct SpreadLabelsPlan {
  AxisPlan axis;
  const std::int32_t* labels;
  const void* class_weights;  // ?
  double scale;
  void* ones;
  void* weights;
};
using SpreadLabelsFunction = void(const SpreadLabelsPlan& plan);

// A loss of elements that come in pairs; a unit is a chunk of them.
struct PairLossPlan {
  static constexpr std::int64_t kChunk = 1024;

  std::int64_t size;
  const void* x;
  const void* t;
  void* losses;      // ?
  double* partials;  // ? per unit
  const void* g;
  std::int64_t g_step;
  double scale;
  void* gx;
};
using PairLossFunction = void(const PairLossPlan& plan, std::int64_t begin, std::int64_t end);

}  // namespace chainrule
