#pragma once

// As much of CUDA's header as functors/half.h uses: where there is NVRTC there need be no toolkit.
// A half is its bits here.

__device__ inline unsigned short __ushort_as_half(unsigned short bits) { return bits; }
__device__ inline unsigned short __half_as_ushort(unsigned short half) { return half; }

__device__ inline float __half2float(unsigned short half) {
  float wide;
  asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(half));
  return wide;
}

// To the nearest, ties to even.
__device__ inline unsigned short __float2half_rn(float x) {
  unsigned short half;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(x));
  return half;
}
