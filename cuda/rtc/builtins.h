#pragma once

// What nvcc has from the host's compiler, for NVRTC, which reads this before all else.

namespace builtins {

template <class A, class B>
inline constexpr bool same = false;
template <class A>
inline constexpr bool same<A, A> = true;

}  // namespace builtins

#define __is_same(...) (::builtins::same<__VA_ARGS__>)

#define __builtin_fabs ::fabs
#define __builtin_fabsf ::fabsf
#define __builtin_floor ::floor
#define __builtin_floorf ::floorf
#define __builtin_memcpy ::memcpy
#define __builtin_pow ::pow
#define __builtin_powf ::powf
#define __builtin_sqrt ::sqrt
#define __builtin_sqrtf ::sqrtf

#define __builtin_huge_val() __builtin_bit_cast(double, 0x7ff0000000000000)
#define __builtin_inf() __builtin_bit_cast(double, 0x7ff0000000000000)
#define __builtin_inff() __builtin_bit_cast(float, 0x7f800000)
#define __builtin_nan(text) __builtin_bit_cast(double, 0x7ff8000000000000)
