#pragma once

#include <cstdint>

#include "chainrule/functors/host_device.h"

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#elif defined(__F16C__)
#include <immintrin.h>
#endif

// float16 and bfloat16 as storage: loaded, computed on in float, stored. No arithmetic here.
namespace chainrule {

namespace half_bits {

template <class To, class From>
CR_INLINE To bit_cast(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  __builtin_memcpy(&to, &from, sizeof(To));
  return to;
}

CR_INLINE float from_float16(std::uint16_t h) {
#if defined(__CUDA_ARCH__)
  return __half2float(__ushort_as_half(h));
#elif defined(__F16C__) && !defined(__CUDACC__)
  return _cvtsh_ss(h);
#else
  const std::uint32_t sign = static_cast<std::uint32_t>(h & 0x8000u) << 16;
  const std::uint32_t magnitude = static_cast<std::uint32_t>(h & 0x7fffu);
  // Shift into place with the exponent still biased by 15, then scale by 2^112: subnormals
  // come out right because the multiplication normalises them.
  float f = bit_cast<float>(magnitude << 13) * 5.192296858534828e+33f;
  if (magnitude >= 0x7c00u) f = bit_cast<float>((magnitude << 13) | 0x7f800000u);
  return bit_cast<float>(bit_cast<std::uint32_t>(f) | sign);
#endif
}

// Round to nearest even.
CR_INLINE std::uint16_t to_float16(float f) {
#if defined(__CUDA_ARCH__)
  return __half_as_ushort(__float2half_rn(f));
#elif defined(__F16C__) && !defined(__CUDACC__)
  return static_cast<std::uint16_t>(_cvtss_sh(f, 0));
#else
  const std::uint32_t bits = bit_cast<std::uint32_t>(f);
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) {
    return static_cast<std::uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
  }
  if (magnitude >= 0x477ff000u) return static_cast<std::uint16_t>(sign | 0x7c00u);
  if (magnitude < 0x38800000u) {
    // Subnormal: adding 0.5 lines the mantissa up and lets the adder do the rounding.
    const float shifted = bit_cast<float>(magnitude) + 0.5f;
    return static_cast<std::uint16_t>(sign | (bit_cast<std::uint32_t>(shifted) - 0x3f000000u));
  }
  const std::uint32_t odd = (magnitude >> 13) & 1u;
  return static_cast<std::uint16_t>(sign | ((magnitude - 0x38000000u + 0xfffu + odd) >> 13));
#endif
}

CR_INLINE float from_bfloat16(std::uint16_t b) {
  return bit_cast<float>(static_cast<std::uint32_t>(b) << 16);
}

CR_INLINE std::uint16_t to_bfloat16(float f) {
  const std::uint32_t bits = bit_cast<std::uint32_t>(f);
  if ((bits & 0x7fffffffu) > 0x7f800000u) {
    return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  }
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace half_bits

struct Float16 {
  std::uint16_t bits;
  Float16() = default;
  CR_INLINE explicit Float16(float f) : bits(half_bits::to_float16(f)) {}
  CR_INLINE operator float() const { return half_bits::from_float16(bits); }
};

struct BFloat16 {
  std::uint16_t bits;
  BFloat16() = default;
  CR_INLINE explicit BFloat16(float f) : bits(half_bits::to_bfloat16(f)) {}
  CR_INLINE operator float() const { return half_bits::from_bfloat16(bits); }
};

static_assert(sizeof(Float16) == 2 && sizeof(BFloat16) == 2);

}  // namespace chainrule
