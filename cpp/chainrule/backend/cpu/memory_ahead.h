#pragma once

#include <cstdint>

#include "chainrule/core/api.h"
#include "chainrule/functors/host_device.h"

namespace chainrule::cpu {

// How far ahead memory is asked for, in bytes, by a loop over so many arrays; more than these are
// as the last. Measured, by processor (memory_ahead.cpp).
inline constexpr std::uintptr_t kMostArrays = 6;
// So little that it only lets more loads be under way at a time.
inline constexpr std::uint32_t kLittleAhead = 256;
CHAINRULE_API extern const std::uint32_t* const reach_by_arrays;

inline namespace CHAINRULE_ISA {

CR_INLINE std::uintptr_t reach_ahead(std::uintptr_t arrays) {
  return reach_by_arrays[arrays < kMostArrays ? arrays : kMostArrays];
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
