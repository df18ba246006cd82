#pragma once

#include <cstdint>

#include "chainrule/autograd/variable.h"
#include "chainrule/backend/axis_plan.h"

namespace chainrule {

// exp(x) / sum of exp(x) along an axis, and its logarithm; neither overflows.
CHAINRULE_API Variable softmax(const Variable& x, std::int64_t axis);
CHAINRULE_API Variable log_softmax(const Variable& x, std::int64_t axis);

// `shape` as (what lies before the axis, the axis, what lies behind it).
AxisPlan axis_plan(const Shape& shape, int axis);
// How many units of `axis` are worth a thread.
std::int64_t axis_grain(const AxisPlan& axis);
// C-contiguous, and float32 for halves: what kernels along an axis read.
Array axis_operand(const Array& x);

}  // namespace chainrule
