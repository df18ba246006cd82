#pragma once

#include "chainrule/functors/math.h"
#include "chainrule/update/traced_program.h"

// What an instruction of a user's rule does to one element: the same on every device, and the same
// bits whatever the compiler's flags, as machine code has them (backend/cpu/traced_code.h).
namespace chainrule::update {
inline namespace CHAINRULE_ISA {

template <Opcode code, class T>
CR_INLINE T compute(const T* s, T a, T b, T c) {
  namespace math = functors::math;
  const T one(1);
  const T zero(0);
  if constexpr (code == Opcode::fill) {
    return s[0];
  } else if constexpr (code == Opcode::copy) {
    return a;
  } else if constexpr (code == Opcode::affine) {
    return math::multiply_add(s[0], a, s[1]);
  } else if constexpr (code == Opcode::combine) {
    return math::multiply_add(s[0], a, s[1] * b);
  } else if constexpr (code == Opcode::multiply) {
    return math::multiply_add(s[0] * a, b, s[1]);
  } else if constexpr (code == Opcode::multiply_add) {
    return math::multiply_add(s[0] * a, b, s[1] * c);
  } else if constexpr (code == Opcode::divide) {
    return s[0] * a / b + s[1];
  } else if constexpr (code == Opcode::divide_add) {
    return math::multiply_add(s[1], c, s[0] * a / b);
  } else if constexpr (code == Opcode::reciprocal) {
    return s[0] / a + s[1];
  } else if constexpr (code == Opcode::reciprocal_add) {
    return math::multiply_add(s[1], b, s[0] / a);
  } else if constexpr (code == Opcode::divide_root_add) {
    const T divisor = math::sqrt(s[1] * b) + s[2];
    return math::multiply_add(s[3], c, s[0] * a / divisor);
  } else if constexpr (code == Opcode::clip) {
    return math::min(math::max(a, s[0]), s[1]);
  } else if constexpr (code == Opcode::minimum) {
    return math::min(a, b);
  } else if constexpr (code == Opcode::minimum_s) {
    return math::min(a, s[0]);
  } else if constexpr (code == Opcode::maximum) {
    return math::max(a, b);
  } else if constexpr (code == Opcode::maximum_s) {
    return math::max(a, s[0]);
  } else if constexpr (code == Opcode::power) {
    return math::pow(a, b);
  } else if constexpr (code == Opcode::power_s) {
    return math::pow(a, s[0]);
  } else if constexpr (code == Opcode::power_of_s) {
    return math::pow(s[0], a);
  } else if constexpr (code == Opcode::less) {
    return math::select(a < b, one, zero);
  } else if constexpr (code == Opcode::less_s) {
    return math::select(a < s[0], one, zero);
  } else if constexpr (code == Opcode::greater_s) {
    return math::select(a > s[0], one, zero);
  } else if constexpr (code == Opcode::less_equal) {
    return math::select(a <= b, one, zero);
  } else if constexpr (code == Opcode::less_equal_s) {
    return math::select(a <= s[0], one, zero);
  } else if constexpr (code == Opcode::greater_equal_s) {
    return math::select(a >= s[0], one, zero);
  } else if constexpr (code == Opcode::equal) {
    return math::select(a == b, one, zero);
  } else if constexpr (code == Opcode::equal_s) {
    return math::select(a == s[0], one, zero);
  } else if constexpr (code == Opcode::not_equal) {
    return math::select(a != b, one, zero);
  } else if constexpr (code == Opcode::not_equal_s) {
    return math::select(a != s[0], one, zero);
  } else if constexpr (code == Opcode::select) {
    return math::select(a != zero, b, c);
  } else if constexpr (code == Opcode::select_vs) {
    return math::select(a != zero, b, s[0]);
  } else if constexpr (code == Opcode::select_sv) {
    return math::select(a != zero, s[0], b);
  } else if constexpr (code == Opcode::select_ss) {
    return math::select(a != zero, s[0], s[1]);
  } else {
    const T x = math::multiply_add(s[0], a, s[1]);
    T y = x;
    if constexpr (code == Opcode::abs) {
      y = math::abs(x);
    } else if constexpr (code == Opcode::sign) {
      y = math::sign(x);
    } else if constexpr (code == Opcode::floor) {
      y = math::floor(x);
    } else if constexpr (code == Opcode::sqrt) {
      y = math::sqrt(x);
    } else if constexpr (code == Opcode::exp) {
      y = math::exp(x);
    } else if constexpr (code == Opcode::expm1) {
      y = math::expm1(x);
    } else if constexpr (code == Opcode::log) {
      y = math::log(x);
    } else if constexpr (code == Opcode::log1p) {
      y = math::log1p(x);
    } else {
      static_assert(code == Opcode::tanh);
      y = math::tanh(x);
    }
    return math::multiply_add(s[2], y, s[3]);
  }
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
