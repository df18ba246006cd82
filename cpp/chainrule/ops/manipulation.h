#pragma once

#include <cstdint>
#include <vector>

#include "chainrule/autograd/variable.h"

// Ops that move elements and compute nothing.
namespace chainrule {

// One dimension may be -1. A view where the strides allow it.
CHAINRULE_API Variable reshape(const Variable& x, const Shape& shape);
// No axes: reversed. Always a view.
CHAINRULE_API Variable transpose(const Variable& x, const Axes& axes = {});
CHAINRULE_API Variable concat(const std::vector<Variable>& xs, std::int64_t axis);
CHAINRULE_API Variable stack(const std::vector<Variable>& xs, std::int64_t axis);
// Cuts before each of `indices` (as numpy.split).
CHAINRULE_API std::vector<Variable> split_axis(const Variable& x,
                                               const std::vector<std::int64_t>& indices,
                                               std::int64_t axis);

}  // namespace chainrule
