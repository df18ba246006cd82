#pragma once

// What lets one functor be read by g++ (three times, once per instruction set) and by nvcc.
//
// CR_INLINE marks every function of a functor: always inlined on the host, so that no copy
// compiled for AVX-512 is ever shared with code for older machines; callable on both sides
// under nvcc. CHAINRULE_ISA names the instruction set of the translation unit; everything in
// `functors` lives in an inline namespace of that name, which keeps the three copies apart.

#if defined(__CUDACC__)
#define CR_INLINE __host__ __device__ __forceinline__
#else
#define CR_INLINE inline __attribute__((always_inline))
#endif

#ifndef CHAINRULE_ISA
#define CHAINRULE_ISA portable
#endif
