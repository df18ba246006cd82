#pragma once

#include <cstdint>
#include <vector>

#include "chainrule/core/array.h"

namespace chainrule {

// Computed places in an array x, beside a C-contiguous array y that has one part for each.
struct Places {
  std::vector<std::int64_t> offsets;  // of each place in x, in bytes
  Shape rest;                         // what lies at one place
  Strides x_strides;                  // of `rest` in x
  Strides y_strides;                  // of `rest` in y
  std::int64_t y_step;                // from one part of y to the next
};

// y[i] = x[place i], for every dtype.
CHAINRULE_API void take(const Array& y, const Array& x, const Places& places);
// x[place i] += y[i], one after the other where places repeat; for floats.
CHAINRULE_API void put_add(const Array& x, const Array& y, const Places& places);

}  // namespace chainrule
