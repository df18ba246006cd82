#pragma once

#include "chainrule/functors/unary.h"

namespace chainrule::functors {
inline namespace CHAINRULE_ISA {

struct Relu : NoParams {
  using NoParams::NoParams;
  static constexpr char name[] = "relu";
  static constexpr Saves saves = Saves::output;
  template <class T>
  CR_INLINE T forward(T x) const {
    return math::max(x, T(0.0));
  }
  template <class T>
  CR_INLINE T backward(T y, T g) const {
    return math::select(y > T(0.0), g, T(0.0));
  }
};

// At 0 the gradient is that of the negative side, as in Chainer.
struct LeakyRelu {
  double slope;
  CR_INLINE explicit LeakyRelu(const double* params) : slope(params[0]) {}
  static constexpr char name[] = "leaky_relu";
  static constexpr Saves saves = Saves::input;
  template <class T>
  CR_INLINE T forward(T x) const {
    return math::select(x >= T(0.0), x, T(slope) * x);
  }
  template <class T>
  CR_INLINE T backward(T x, T g) const {
    return math::select(x > T(0.0), g, T(slope) * g);
  }
};

// The same at 0.
struct Elu {
  double alpha;
  CR_INLINE explicit Elu(const double* params) : alpha(params[0]) {}
  static constexpr char name[] = "elu";
  static constexpr Saves saves = Saves::input;
  template <class T>
  CR_INLINE T forward(T x) const {
    return math::select(x < T(0.0), T(alpha) * math::expm1(x), x);
  }
  template <class T>
  CR_INLINE T backward(T x, T g) const {
    return math::select(x > T(0.0), g, T(alpha) * math::exp(x) * g);
  }
};

struct Sigmoid : NoParams {
  using NoParams::NoParams;
  static constexpr char name[] = "sigmoid";
  static constexpr Saves saves = Saves::output;
  template <class T>
  CR_INLINE T forward(T x) const {
    return math::sigmoid(x);
  }
  template <class T>
  CR_INLINE T backward(T y, T g) const {
    return g * y * (T(1.0) - y);
  }
};

struct Tanh : NoParams {
  using NoParams::NoParams;
  static constexpr char name[] = "tanh";
  static constexpr Saves saves = Saves::output;
  template <class T>
  CR_INLINE T forward(T x) const {
    return math::tanh(x);
  }
  template <class T>
  CR_INLINE T backward(T y, T g) const {
    return g * (T(1.0) - y * y);
  }
};

struct Softplus {
  double beta;
  CR_INLINE explicit Softplus(const double* params) : beta(params[0]) {}
  static constexpr char name[] = "softplus";
  static constexpr Saves saves = Saves::input;
  template <class T>
  CR_INLINE T forward(T x) const {
    return math::softplus(T(beta) * x) / T(beta);
  }
  template <class T>
  CR_INLINE T backward(T x, T g) const {
    return g * math::sigmoid(T(beta) * x);
  }
};

using Activations = List<Relu, LeakyRelu, Elu, Sigmoid, Tanh, Softplus>;

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::functors
