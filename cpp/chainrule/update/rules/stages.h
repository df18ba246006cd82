#pragma once

#include "chainrule/update/rule.h"

// Element-wise stages on the way to a direction (update/tensor_rules). They run in the same sweep
// as rules, with `p` as what they make and `g` as what they read, and are no algorithms.
namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// A running mean, and a mixture of it with what came in.
struct MomentumStage {
  static constexpr bool is_stage = true;
  static constexpr auto states = names("m");

  template <class T>
  struct Coefs {
    T rate, mixed;  // of m towards g, and of p from g towards m
  };

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p, T& m) {
    m += c.rate * (g - m);
    p = g + c.mixed * (m - g);
  }
};

struct ScaleStage {
  static constexpr bool is_stage = true;
  static constexpr auto states = names();

  template <class T>
  struct Coefs {
    T factor;
  };

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p) {
    p = c.factor * g;
  }
};

// A running mean of what comes in.
struct MeanStage {
  static constexpr bool is_stage = true;
  static constexpr auto states = names();

  template <class T>
  struct Coefs {
    T rate;
  };

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p) {
    p += c.rate * (g - p);
  }
};

struct SquareStage {
  static constexpr bool is_stage = true;
  static constexpr auto states = names();

  template <class T>
  struct Coefs {
    T eps;
  };

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p) {
    p = g * g + c.eps;
  }
};

// One over the square root of a quotient.
struct InverseRootStage {
  static constexpr bool is_stage = true;
  static constexpr auto states = names();

  template <class T>
  struct Coefs {
    T factor;
  };

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p) {
    p = T(1) / functors::math::sqrt(c.factor * g);
  }
};

// The gradient over the root of its running mean square.
struct NormalizeStage {
  static constexpr bool is_stage = true;
  static constexpr auto states = names("v");

  template <class T>
  struct Coefs {
    T rate, eps;
  };

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p, T& v) {
    v += c.rate * (g * g + c.eps - v);
    p = g / functors::math::sqrt(v);
  }
};

// Adam's moments in two bases: `p` is the mean in the basis of `v` and becomes the quotient.
struct QuotientStage {
  static constexpr bool is_stage = true;
  static constexpr auto states = names("v");

  template <class T>
  struct Coefs {
    T rate, eps;
  };

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p, T& v) {
    v += c.rate * (g * g - v);
    p = p / (functors::math::sqrt(v) + c.eps);
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
