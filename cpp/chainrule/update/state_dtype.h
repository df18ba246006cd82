#pragma once

#include "chainrule/core/api.h"
#include "chainrule/core/array.h"
#include "chainrule/update/policies.h"

// States as they are stored: an array of the parameter's shape, and for 8-bit ones the scales of
// groups of kStateBlock neighbours (update/reduced.h).
namespace chainrule {

struct StoredState {
  Array values;
  Array scales;  // float32, one per group; undefined where values are no codes

  bool is_coded() const { return scales.defined(); }
};

// A new state full of one number.
CHAINRULE_API StoredState
filled_state(const Shape& shape, Dtype dtype, Device device, double value, bool square);

// The same numbers, stored otherwise; those of 8 bits as floats first. `square` as in Algorithm.
CHAINRULE_API Array decoded_state(const StoredState& state, bool square);
CHAINRULE_API StoredState stored_as(const StoredState& state, Dtype dtype, bool square);

}  // namespace chainrule
