#pragma once

#include <cstdint>
#include <optional>

#include "chainrule/autograd/variable.h"

// Reductions over axes; an empty list of axes stands for all of them.
namespace chainrule {

// Bools and integers are summed in int64.
CHAINRULE_API Variable sum(const Variable& x, const Axes& axes = {}, bool keepdims = false);
CHAINRULE_API Variable mean(const Variable& x, const Axes& axes = {}, bool keepdims = false);
// The weighted mean: weights of x's shape, or of the shape of the reduced axes alone.
CHAINRULE_API Variable average(const Variable& x,
                               const Variable& weights,
                               const Axes& axes = {},
                               bool keepdims = false);
// Every element that is equal to the result gets the whole gradient, as in Chainer.
CHAINRULE_API Variable max(const Variable& x, const Axes& axes = {}, bool keepdims = false);
CHAINRULE_API Variable min(const Variable& x, const Axes& axes = {}, bool keepdims = false);
CHAINRULE_API Variable logsumexp(const Variable& x, const Axes& axes = {}, bool keepdims = false);

// Places in int32, along one axis or in the flattened array; no gradient.
CHAINRULE_API Variable argmax(const Variable& x, std::optional<std::int64_t> axis = {});
CHAINRULE_API Variable argmin(const Variable& x, std::optional<std::int64_t> axis = {});

}  // namespace chainrule
