#pragma once

#include "chainrule/backend/axis_plan.h"
#include "chainrule/functors/math.h"

// Maxima and sums along an axis, for softmax and its losses. Sums are kept in lanes, so that
// the compiler may use vector registers without reordering anything.
namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {

using Int = std::int64_t;
namespace math = functors::math;

constexpr int kLanes = 16;
constexpr Int kColumns = AxisPlan::kColumns;

template <class T>
CR_INLINE T infinity() {
  return T(__builtin_inf());
}

// The sum over i < n of f(i), which may also store; f is called on whole runs of kLanes and
// then on the rest.
template <class T, class F>
CR_INLINE T sum_lanes(Int n, const F& f) {
  T lanes[kLanes] = {};
  Int i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int l = 0; l < kLanes; ++l) lanes[l] += f(i + l);
  }
  for (int l = 0; i < n; ++i, ++l) lanes[l] += f(i);
  T sum = 0;
  for (int l = 0; l < kLanes; ++l) sum += lanes[l];
  return sum;
}

template <class T>
CR_INLINE T line_max(const T* x, Int n) {
  T lanes[kLanes];
  for (int l = 0; l < kLanes; ++l) lanes[l] = -infinity<T>();
  Int i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int l = 0; l < kLanes; ++l) lanes[l] = math::max(lanes[l], x[i + l]);
  }
  for (int l = 0; i < n; ++i, ++l) lanes[l] = math::max(lanes[l], x[i]);
  T most = lanes[0];
  for (int l = 1; l < kLanes; ++l) most = math::max(most, lanes[l]);
  return most;
}

// y = exp(x - shift); returns the sum. `y` may be null (Store is false) or x itself.
template <bool Store, class T>
CR_INLINE T line_exp_sum(const T* x, Int n, T shift, T* y) {
  T lanes[kLanes] = {};
  Int i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int l = 0; l < kLanes; ++l) {
      const T e = math::exp(x[i + l] - shift);
      lanes[l] += e;
      if (Store) y[i + l] = e;
    }
  }
  if (i < n) {
    // The rest in one go too: a scalar exp costs as much as a vector of them.
    T rest[kLanes];
    for (int l = 0; l < kLanes; ++l) rest[l] = shift;
    for (int l = 0; l < n - i; ++l) rest[l] = x[i + l];
    for (int l = 0; l < kLanes; ++l) rest[l] = math::exp(rest[l] - shift);
    for (int l = 0; l < n - i; ++l) {
      lanes[l] += rest[l];
      if (Store) y[i + l] = rest[l];
    }
  }
  T sum = 0;
  for (int l = 0; l < kLanes; ++l) sum += lanes[l];
  return sum;
}

// The same for `width` columns side by side.
template <class T>
CR_INLINE void columns_max(const T* x, Int n, Int stride, Int width, T* most) {
  for (Int j = 0; j < width; ++j) most[j] = -infinity<T>();
  for (Int c = 0; c < n; ++c, x += stride) {
    for (Int j = 0; j < width; ++j) most[j] = math::max(most[j], x[j]);
  }
}

template <bool Store, class T>
CR_INLINE void
columns_exp_sum(const T* x, Int n, Int stride, Int width, const T* shift, T* sum, T* y) {
  for (Int j = 0; j < width; ++j) sum[j] = 0;
  for (Int c = 0; c < n; ++c, x += stride) {
#pragma GCC ivdep
    for (Int j = 0; j < width; ++j) {
      const T e = math::exp(x[j] - shift[j]);
      sum[j] += e;
      if (Store) y[c * stride + j] = e;
    }
  }
}

// Where unit `unit` of a plan begins, and how many columns it has.
struct Columns {
  Int outer;
  Int first;
  Int width;
};
CR_INLINE Columns columns_of(const AxisPlan& axis, Int unit) {
  const Int blocks = axis.blocks();
  const Int first = unit % blocks * kColumns;
  const Int left = axis.inner - first;
  return {unit / blocks, first, left < kColumns ? left : kColumns};
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
