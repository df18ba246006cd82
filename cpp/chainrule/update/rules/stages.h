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

// Keeps the components of an update `p` that go down the gradient, and makes up for the others.
struct CautiousStage {
  static constexpr bool is_stage = true;
  static constexpr auto states = names();
  static constexpr int sums = 1;

  template <class T>
  struct Coefs {
    T factor;
  };

  template <class T>
  CR_INLINE static Sums<T, 1> measure(const Coefs<T>&, T g, T p) {
    return {{functors::math::select(g * p < T(0), T(1), T(0))}};
  }

  // NaN stays what it is.
  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p) {
    p = functors::math::select(g * p >= T(0), T(0), c.factor * p);
  }
};

// An update that is ready, in the gradient's place.
struct ApplyStage {
  static constexpr bool is_stage = true;
  static constexpr auto states = names();

  template <class T>
  struct Coefs {
    T keep;
  };

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T u, T& p) {
    p = c.keep * p + u;
  }
};

struct PerturbStage {
  static constexpr bool is_stage = true;
  static constexpr auto states = names();

  template <class T>
  struct Coefs {
    T rate;
  };

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p) {
    p += c.rate * g;
  }
};

// Slow weights go a part of the way to the fast ones, which begin anew from there.
struct LookaheadStage {
  static constexpr bool is_stage = true;
  static constexpr auto states = names("slow");

  template <class T>
  struct Coefs {
    T alpha;
  };

  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T, T& p, T& slow) {
    slow += c.alpha * (p - slow);
    p = slow;
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
