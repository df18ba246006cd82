#pragma once

#include "chainrule/autograd/variable.h"

// Reductions over axes; an empty list of axes stands for all of them.
namespace chainrule {

CHAINRULE_API Variable sum(const Variable& x, const Axes& axes = {}, bool keepdims = false);
CHAINRULE_API Variable mean(const Variable& x, const Axes& axes = {}, bool keepdims = false);
CHAINRULE_API Variable max(const Variable& x, const Axes& axes = {}, bool keepdims = false);
CHAINRULE_API Variable min(const Variable& x, const Axes& axes = {}, bool keepdims = false);
CHAINRULE_API Variable logsumexp(const Variable& x, const Axes& axes = {}, bool keepdims = false);

}  // namespace chainrule
