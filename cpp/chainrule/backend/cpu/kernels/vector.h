#pragma once

#include "chainrule/backend/cpu/kernels/update_loops.h"

namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {

// Sixteen neighbours, one for each lane, in as many of the processor's vectors as that takes.
struct Vector {
#if defined(__AVX512F__)
  static constexpr int kWidth = 16;
#elif defined(__AVX__)
  static constexpr int kWidth = 8;
#else
  static constexpr int kWidth = 4;
#endif
  static constexpr int kParts = update_loops::kLanes / kWidth;
  typedef float Floats __attribute__((vector_size(kWidth * sizeof(float))));
  typedef std::int32_t Ints __attribute__((vector_size(kWidth * sizeof(float))));
  Floats parts[kParts];

  CR_INLINE static Vector at(const float* p) {
    Vector v;
    for (int k = 0; k < kParts; ++k) {
      __builtin_memcpy(&v.parts[k], p + k * kWidth, sizeof(Floats));
    }
    return v;
  }
  CR_INLINE void store(float* p) const {
    for (int k = 0; k < kParts; ++k) __builtin_memcpy(p + k * kWidth, &parts[k], sizeof(Floats));
  }
  // After it the compiler shares nothing with the computation of these numbers, which it might
  // carry out otherwise then.
  CR_INLINE void forget_origin() {
    for (Floats& part : parts) {
#if defined(__AVX512F__)
      asm("" : "+v"(part));
#elif defined(__x86_64__)
      asm("" : "+x"(part));
#else
      asm("" : "+m"(part));
#endif
    }
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
