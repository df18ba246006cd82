#pragma once

#include "chainrule/backend/cpu/kernels/update_loops.h"
#include "chainrule/backend/cpu/kernels/update_storage.h"
#include "chainrule/core/dtype.h"

// What is summed up about a block after its step, while it lies in the first-level cache. The step
// itself is the same machine code whether it is observed or not, and so are its bits. Rules on
// float32 where it lies have loops that do both at once (update_observed.h).
namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {
namespace update_statistics {

using update::Fused;
using update::Row;
using update_loops::for_lanes;
using update_loops::kLanes;

// Elements between two looks; with fewer, memory is asked for more evenly.
inline constexpr std::int64_t kObservedBlock = 256;
static_assert(update::kChunk % kObservedBlock == 0 && kObservedBlock % kLanes == 0);

template <class T>
inline constexpr T kGreatest = sizeof(T) == 8 ? T(__DBL_MAX__) : T(__FLT_MAX__);

// Sums are of the type computed in, as a chunk is short: what is added to a lane of float32 has a
// relative error of 1e-5 at the most, and magnitudes between 1e-19 and 1e17 have their share.
// Conversion to double would cost more than the update itself.
template <class T>
struct Lanes {
  T grad_squares[kLanes] = {};
  T param_squares[kLanes] = {};
  T update_squares[kLanes] = {};
  T max_abs[kLanes] = {};
  T nonfinite[kLanes] = {};  // counts
  T lost[kLanes] = {};

  CR_INLINE void see(int k, T g, T before, T after) {
    using functors::math::select;
    const T change = after - before;
    grad_squares[k] += g * g;
    param_squares[k] += before * before;
    update_squares[k] += change * change;
    const T size = functors::math::abs(g);
    max_abs[k] = select(size > max_abs[k], size, max_abs[k]);
  }
  // Apart, since what is not finite shows in the squares.
  CR_INLINE void count(int k, T g) {
    const bool is_finite = functors::math::abs(g) <= kGreatest<T>;
    nonfinite[k] = functors::math::select(is_finite, nonfinite[k], nonfinite[k] + T(1));
  }
  bool squares_are_finite() const {
    T sum = 0;
    for (T lane : grad_squares) sum += lane * T(0);
    return sum == T(0);
  }
};

template <class Seen, class T>
void observe_as(const Row& row,
                std::int64_t n,
                const T* before,
                const T* g,
                const T* after,
                Lanes<T>& lanes) {
  const auto seen = Seen::of(row.program);
  Lanes<T> sums = lanes;
  // Here the processor has time to fetch what the next blocks need.
  constexpr std::uintptr_t kBlockBytes = kObservedBlock * sizeof(T);
  const std::uintptr_t reach = reach_ahead(4);
  const std::uintptr_t ahead = reach > kBlockBytes ? reach : kBlockBytes;
  const auto ask = [&](std::int64_t i) __attribute__((always_inline)) {
    update_loops::ask_ahead(after + i, ahead);
    update_loops::ask_ahead(g + i, ahead);
  };
  for_lanes(n, ask, [&](std::int64_t i, int k) __attribute__((always_inline)) {
    sums.see(k, seen(g[i], before[i]), before[i], after[i]);
  });
  if (!sums.squares_are_finite()) {
    for_lanes(n, [&](std::int64_t i, int k)
                     __attribute__((always_inline)) { sums.count(k, seen(g[i], before[i])); });
  }
  lanes = sums;
}

// `g` is the gradient as the step found it: a fused program is still to run.
template <class T>
CR_INLINE void observe(const Row& row,
                       Fused fused,
                       std::int64_t n,
                       const T* before,
                       const T* g,
                       const T* after,
                       Lanes<T>& lanes) {
  if (fused == Fused::none) {
    observe_as<update::Unchanged<T>>(row, n, before, g, after, lanes);
  } else if (fused == Fused::linear) {
    observe_as<update::LinearProgram<T>>(row, n, before, g, after, lanes);
  } else {
    observe_as<update::Program<T>>(row, n, before, g, after, lanes);
  }
}

// Changes that were rounded away where a half-precision parameter was stored.
template <class T>
void count_lost(std::uint8_t dtype,
                const T* before,
                const T* after,
                std::int64_t n,
                Lanes<T>& lanes) {
  visit(static_cast<Dtype>(dtype), [&](auto tag) {
    using S = typename decltype(tag)::type;
    if constexpr (sizeof(S) == 2 && !__is_same(Compute<S>, S)) {
      for_lanes(n, [&](std::int64_t i, int k) __attribute__((always_inline)) {
        const bool is_gone = update::is_lost<S>(before[i], after[i]);
        lanes.lost[k] += functors::math::select(is_gone, T(1), T(0));
      });
    }
  });
}

// Lanes, joined in pairs: without branches, and the same additions everywhere.
template <class T, class F>
CR_INLINE T joined(const T* lanes, const F& join) {
  T half[kLanes / 2];
  for (int k = 0; k < kLanes / 2; ++k) half[k] = join(lanes[k], lanes[k + kLanes / 2]);
  for (int n = kLanes / 4; n > 0; n /= 2) {
    for (int k = 0; k < n; ++k) half[k] = join(half[k], half[k + n]);
  }
  return half[0];
}

template <class T>
CR_INLINE double total(const T* lanes) {
  double wide[kLanes];
  for (int k = 0; k < kLanes; ++k) wide[k] = static_cast<double>(lanes[k]);
  return joined(wide, [](double a, double b) { return a + b; });
}

// A chunk's lanes, joined: kStatistics numbers.
template <class T>
void join(const Lanes<T>& lanes, double* statistics) {
  using functors::math::select;
  statistics[update::kGradSquares] = total(lanes.grad_squares);
  statistics[update::kParamSquares] = total(lanes.param_squares);
  statistics[update::kUpdateSquares] = total(lanes.update_squares);
  statistics[update::kMaxAbs] =
      static_cast<double>(joined(lanes.max_abs, [](T a, T b) { return select(b > a, b, a); }));
  statistics[update::kNonfinite] = total(lanes.nonfinite);
  statistics[update::kLost] = total(lanes.lost);
}

}  // namespace update_statistics
}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
