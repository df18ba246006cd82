#pragma once

#include "chainrule/backend/parallel.h"
#include "chainrule/core/device.h"

namespace chainrule {

// Runs f(begin, end) over 0..units: split among threads on a CPU, at once on other devices,
// whose kernels do their own splitting.
template <class F>
void launch(Device device, std::int64_t units, std::int64_t grain, F&& f) {
  if (units <= 0) return;
  if (device.kind != DeviceKind::cpu || units <= grain) return f(std::int64_t{0}, units);
  parallel_for(units, grain, f);
}

}  // namespace chainrule
