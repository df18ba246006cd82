#pragma once

#include <cstdint>

#include "chainrule/functors/host_device.h"

namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {

// How far ahead memory is asked for, in bytes, by a loop over so many arrays. AMD's processors ask
// for so much themselves that they lose a fifth of their bandwidth where it is far in all of them.
inline constexpr std::uintptr_t kFarAhead = 2048;
inline constexpr std::uintptr_t kFarInAll = 1536;

CR_INLINE std::uintptr_t reach_ahead(std::uintptr_t arrays) {
#if defined(__x86_64__)
  if (__builtin_cpu_is("amd")) return kFarInAll / arrays;
#endif
  return kFarAhead;
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
