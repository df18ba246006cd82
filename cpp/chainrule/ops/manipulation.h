#pragma once

#include <cstdint>
#include <vector>

#include "chainrule/autograd/variable.h"

// Ops that move elements and compute nothing.
namespace chainrule {

// One dimension may be -1. A view where the strides allow it.
CHAINRULE_API Variable reshape(const Variable& x, const Shape& shape);
CHAINRULE_API Variable flatten(const Variable& x);
// A dimension of length one before `axis` of the result.
CHAINRULE_API Variable expand_dims(const Variable& x, std::int64_t axis);
// Without the named dimensions, which must be of length one; all such where none are named.
CHAINRULE_API Variable squeeze(const Variable& x, const Axes& axes = {});

// No axes: reversed. Always a view.
CHAINRULE_API Variable transpose(const Variable& x, const Axes& axes = {});
CHAINRULE_API Variable swapaxes(const Variable& x, std::int64_t axis1, std::int64_t axis2);
CHAINRULE_API Variable moveaxis(const Variable& x, const Axes& source, const Axes& destination);
// Moves `axis` before `start`, as numpy.rollaxis.
CHAINRULE_API Variable rollaxis(const Variable& x, std::int64_t axis, std::int64_t start = 0);

CHAINRULE_API Variable concat(const std::vector<Variable>& xs, std::int64_t axis);
CHAINRULE_API Variable stack(const std::vector<Variable>& xs, std::int64_t axis);
// Cuts before each of `indices` (as numpy.split).
CHAINRULE_API std::vector<Variable> split_axis(const Variable& x,
                                               const std::vector<std::int64_t>& indices,
                                               std::int64_t axis);
// Cuts into equal parts.
CHAINRULE_API std::vector<Variable> split_axis(const Variable& x,
                                               std::int64_t sections,
                                               std::int64_t axis);

// Takes an axis apart, as many variables as it is long.
CHAINRULE_API std::vector<Variable> separate(const Variable& x, std::int64_t axis);

// All broadcast to their common shape.
CHAINRULE_API std::vector<Variable> broadcast(const std::vector<Variable>& xs);
// Every element of `axis` `repeats` times in a row, or each its own number of times.
CHAINRULE_API Variable repeat(const Variable& x, std::int64_t repeats, std::int64_t axis);
CHAINRULE_API Variable repeat(const Variable& x,
                              const std::vector<std::int64_t>& repeats,
                              std::int64_t axis);

}  // namespace chainrule
