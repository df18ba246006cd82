#include "chainrule/backend/cpu/memory_ahead.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace chainrule::cpu {
namespace {

using Reaches = std::uint32_t[kMostArrays + 1];

constexpr Reaches kAny = {2048, 2048, 2048, 2048, 2048, 2048, 2048};

#if defined(__x86_64__)
// AMD's processors up to Zen 4 ask for so much themselves that they lose a fifth of their
// bandwidth where it is far in all of the arrays.
constexpr Reaches kZen = {1536, 1536, 768, 512, 384, 307, 256};
// Zen 5 foresees two streams by itself, and takes up to a fifth longer where they are asked for
// from 512 bytes ahead on. Three and more take 8 to 12 % less time from 1024 bytes on than up to
// 512.
constexpr Reaches kZen5 = {kLittleAhead, kLittleAhead, kLittleAhead, 2048, 2048, 2048, 2048};

// As AMD numbers them; 0 for others' processors.
unsigned amd_family() {
  __builtin_cpu_init();
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (!__builtin_cpu_is("amd") || !__get_cpuid(1, &a, &b, &c, &d)) return 0;
  return ((a >> 8) & 15) + ((a >> 20) & 255);
}
#endif

const std::uint32_t* reaches() {
#if defined(__x86_64__)
  constexpr unsigned kFamilyOfZen5 = 0x1a;
  const unsigned family = amd_family();
  if (family >= kFamilyOfZen5) return kZen5;
  if (family > 0) return kZen;
#endif
  return kAny;
}

}  // namespace

const std::uint32_t* const reach_by_arrays = reaches();

}  // namespace chainrule::cpu
