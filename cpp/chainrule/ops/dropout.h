#pragma once

#include <cstdint>

#include "chainrule/autograd/variable.h"

namespace chainrule {

// x with each element zeroed with probability `ratio` and scaled by 1 / (1 - ratio) otherwise.
// The choice is a function of `key` and the element's place; nothing is kept of it.
CHAINRULE_API Variable dropout(const Variable& x, double ratio, std::uint64_t key);

// What dropout multiplies x with for the same key: 0 or 1 / (1 - ratio).
CHAINRULE_API Array dropout_mask(const Variable& x, double ratio, std::uint64_t key);
// The same for numbers drawn elsewhere: an element is kept where its number is at least `ratio`.
CHAINRULE_API Array dropout_mask(const Variable& x, double ratio, const Array& numbers);

}  // namespace chainrule
