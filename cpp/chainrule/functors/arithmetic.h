#pragma once

#include "chainrule/functors/unary.h"

namespace chainrule::functors {
inline namespace CHAINRULE_ISA {

namespace detail {
template <class T>
inline constexpr bool is_integer = T(0.5) == T(0);
}

// Integers wrap around, as in NumPy: computed on as unsigned.
template <class T, class F>
CR_INLINE T wrapping(T a, T b, F f) {
  if constexpr (detail::is_integer<T>) {
    return static_cast<T>(f(static_cast<std::uint64_t>(a), static_cast<std::uint64_t>(b)));
  } else {
    return f(a, b);
  }
}

// Functors of one argument that integers have too: these take any T for forward.

struct Negative : NoParams {
  using NoParams::NoParams;
  static constexpr char name[] = "negative";
  static constexpr Saves saves = Saves::output;
  template <class T>
  CR_INLINE T forward(T x) const {
    return wrapping(x, x, [](auto a, auto) { return -a; });
  }
  template <class T>
  CR_INLINE T backward(T, T g) const {
    return -g;
  }
};

struct Square : NoParams {
  using NoParams::NoParams;
  static constexpr char name[] = "square";
  static constexpr Saves saves = Saves::input;
  template <class T>
  CR_INLINE T forward(T x) const {
    return wrapping(x, x, [](auto a, auto b) { return a * b; });
  }
  template <class T>
  CR_INLINE T backward(T x, T g) const {
    return T(2.0) * x * g;
  }
};

struct Absolute : NoParams {
  using NoParams::NoParams;
  static constexpr char name[] = "absolute";
  static constexpr Saves saves = Saves::input;
  template <class T>
  CR_INLINE T forward(T x) const {
    if constexpr (requires { math::abs(x); }) {
      return math::abs(x);
    } else {
      return x < T(0) ? static_cast<T>(0 - static_cast<std::uint64_t>(x)) : x;
    }
  }
  template <class T>
  CR_INLINE T backward(T x, T g) const {
    return math::select(x > T(0.0), g, math::select(x < T(0.0), -g, T(0.0)));
  }
};

// Bounds as parameters; NaN stays. Integers are compared in double: a bound may lie outside of
// their range.
struct Clip {
  double low;
  double high;
  CR_INLINE explicit Clip(const double* params) : low(params[0]), high(params[1]) {}
  static constexpr char name[] = "clip";
  static constexpr Saves saves = Saves::input;
  template <class T>
  CR_INLINE T forward(T x) const {
    if constexpr (detail::is_integer<T>) {
      const double value = static_cast<double>(x);
      return value < low ? static_cast<T>(low) : value > high ? static_cast<T>(high) : x;
    } else {
      const T above = x < T(low) ? T(low) : x;
      return above > T(high) ? T(high) : above;
    }
  }
  // The gradient passes where the value was not moved; on a bound it passes, as in Chainer.
  template <class T>
  CR_INLINE T backward(T x, T g) const {
    return math::select(x >= T(low), math::select(x <= T(high), g, T(0.0)), T(0.0));
  }
};

using UnaryArithmetic = List<Negative, Square, Absolute, Clip>;

// Functors of two arguments of one type.

struct Add {
  static constexpr char name[] = "add";
  template <class T>
  CR_INLINE T operator()(T a, T b) const {
    return wrapping(a, b, [](auto x, auto y) { return x + y; });
  }
};
struct Subtract {
  static constexpr char name[] = "subtract";
  template <class T>
  CR_INLINE T operator()(T a, T b) const {
    return wrapping(a, b, [](auto x, auto y) { return x - y; });
  }
};
struct Multiply {
  static constexpr char name[] = "multiply";
  template <class T>
  CR_INLINE T operator()(T a, T b) const {
    return wrapping(a, b, [](auto x, auto y) { return x * y; });
  }
};
struct Maximum {
  static constexpr char name[] = "maximum";
  template <class T>
  CR_INLINE T operator()(T a, T b) const {
    const T larger = math::select(a > b, a, b);
    return math::select(a != a, a, larger);
  }
};
struct Minimum {
  static constexpr char name[] = "minimum";
  template <class T>
  CR_INLINE T operator()(T a, T b) const {
    const T smaller = math::select(a < b, a, b);
    return math::select(a != a, a, smaller);
  }
};
using BinaryArithmetic = List<Add, Subtract, Multiply, Maximum, Minimum>;

// Floating only.
struct Divide {
  static constexpr char name[] = "divide";
  template <class T>
  CR_INLINE T operator()(T a, T b) const {
    return a / b;
  }
};
struct Power {
  static constexpr char name[] = "power";
  template <class T>
  CR_INLINE T operator()(T a, T b) const {
    return math::pow(a, b);
  }
};
using BinaryFloating = List<Divide, Power>;

// Python's // for both kinds: rounds towards minus infinity; an integer divided by 0 is 0.
struct FloorDivide {
  static constexpr char name[] = "floor_divide";
  template <class T>
  CR_INLINE T operator()(T a, T b) const {
    if constexpr (math::Real<T>) {
      return math::floor(a / b);
    } else {
      if (b == T(0)) return T(0);
      if (b == T(-1)) return static_cast<T>(0 - static_cast<std::uint64_t>(a));
      const T q = static_cast<T>(a / b);
      return static_cast<T>(q - ((a % b != 0) && ((a < T(0)) != (b < T(0)))));
    }
  }
};
// The integers' half of `power`: non-negative exponents, by squaring.
struct IntegerPower {
  static constexpr char name[] = "power";
  template <class T>
  CR_INLINE T operator()(T a, T b) const {
    std::uint64_t base = static_cast<std::uint64_t>(a);
    std::uint64_t result = 1;
    for (std::uint64_t n = b < T(0) ? 0 : static_cast<std::uint64_t>(b); n; n >>= 1) {
      if (n & 1) result *= base;
      base *= base;
    }
    return static_cast<T>(result);
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::functors
