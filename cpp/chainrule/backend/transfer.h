#pragma once

#include "chainrule/core/array.h"

namespace chainrule {

// The array itself where it is on `device` already; a C-contiguous copy there otherwise.
CHAINRULE_API Array to_device(const Array& x, Device device);

}  // namespace chainrule
