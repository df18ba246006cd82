#pragma once

#include "chainrule/backend/cpu/kernels/loop.h"
#include "chainrule/update/element.h"
#include "chainrule/update/rule_list.h"

// The rules' loops over a piece of memory: for each rule and type one that steps, also with a
// fused program before it, also with statistics taken on the way, and one that measures.
namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {
namespace update_loops {

using functors::List;
using update::kMaxStates;
using update::kMaxSums;
using update::Program;
using update::Row;

// Element i of a chunk is added to lane i % kLanes, so that the order of additions is the same
// for every instruction set, thread count and block size.
inline constexpr int kLanes = 16;

template <class T>
struct Lanes {
  double grad_squares[kLanes] = {};
  double param_squares[kLanes] = {};
  double update_squares[kLanes] = {};
  T max_abs[kLanes] = {};
  T nonfinite[kLanes] = {};  // counts
  T lost[kLanes] = {};

  CR_INLINE void see(int k, T g, T before, T after) {
    using functors::math::select;
    const double wide_g = static_cast<double>(g);
    const double wide_p = static_cast<double>(before);
    const double wide_u = static_cast<double>(after - before);
    grad_squares[k] += wide_g * wide_g;
    param_squares[k] += wide_p * wide_p;
    update_squares[k] += wide_u * wide_u;
    const T size = functors::math::abs(g);
    max_abs[k] = select(size > max_abs[k], size, max_abs[k]);
    nonfinite[k] += select(size - size == T(0), T(0), T(1));
  }
};

using LaneSums = double[kMaxSums][kLanes];

// Calls f(i, lane) for the elements of a block, sixteen neighbours at a time.
template <class F>
CR_INLINE void for_lanes(std::int64_t n, const F& f) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
#pragma GCC ivdep
    for (int k = 0; k < kLanes; ++k) f(i + k, k);
  }
  for (int k = 0; i + k < n; ++k) f(i + k, k);
}

template <class Rule, class T, bool programmed, bool observed>
CR_INLINE void step_elements(const Row& row,
                             std::int64_t n,
                             T* __restrict p,
                             const T* g,
                             Lanes<T>* lanes,
                             auto* __restrict... s) {
  const auto c = update::load_coefs<Rule, T>(row.coefs);
  const auto program = Program<T>::of(row.program);
  const auto seen = [&](std::int64_t i) __attribute__((always_inline)) {
    return programmed ? program(g[i], p[i]) : g[i];
  };
  if constexpr (observed) {
    Lanes<T> sums = *lanes;
    for_lanes(n, [&](std::int64_t i, int k) __attribute__((always_inline)) {
      const T gradient = seen(i);
      const T before = p[i];
      Rule::step(c, gradient, p[i], s[i]...);
      sums.see(k, gradient, before, p[i]);
    });
    *lanes = sums;
  } else {
#pragma GCC ivdep
    for (std::int64_t i = 0; i < n; ++i) Rule::step(c, seen(i), p[i], s[i]...);
  }
}

template <class T>
using StepLoop =
    void (*)(const Row& row, std::int64_t n, T* p, const T* g, T* const* states, Lanes<T>* lanes);
template <class T>
using MeasureLoop = void (*)(const Row& row,
                             std::int64_t n,
                             const T* p,
                             const T* g,
                             T* const* states,
                             LaneSums& sums);

template <int... S>
struct Indices {};
template <int N, int... S>
struct MakeIndices : MakeIndices<N - 1, N - 1, S...> {};
template <int... S>
struct MakeIndices<0, S...> {
  using type = Indices<S...>;
};
template <class Rule>
using StateIndices = typename MakeIndices<Rule::states.count>::type;

template <class Rule, class T, bool programmed, bool observed, int... S>
void step_loop(const Row& row,
               std::int64_t n,
               T* p,
               const T* g,
               T* const* states,
               Lanes<T>* lanes) {
  step_elements<Rule, T, programmed, observed>(row, n, p, g, lanes, states[S]...);
}

template <class Rule, class T, int... S>
void measure_loop(const Row& row,
                  std::int64_t n,
                  const T* p,
                  const T* g,
                  T* const* states,
                  LaneSums& sums) {
  const auto c = update::load_coefs<Rule, T>(row.coefs);
  [&](auto* __restrict... s) __attribute__((always_inline)) {
    for_lanes(n, [&](std::int64_t i, int k) __attribute__((always_inline)) {
      const auto added = Rule::measure(c, g[i], p[i], s[i]...);
      for (int j = 0; j < Rule::sums; ++j) sums[j][k] += static_cast<double>(added.addend[j]);
    });
  }(states[S]...);
}

// A rule's loops, by [programmed][observed].
template <class T>
struct RuleLoops {
  StepLoop<T> step[2][2];
  MeasureLoop<T> measure;
};

template <class Rule, class T, int... S>
constexpr RuleLoops<T> loops_of(Indices<S...>) {
  static_assert(sizeof...(S) <= kMaxStates);
  RuleLoops<T> loops{
      {{step_loop<Rule, T, false, false, S...>, step_loop<Rule, T, false, true, S...>},
       {step_loop<Rule, T, true, false, S...>, step_loop<Rule, T, true, true, S...>}},
      nullptr};
  if constexpr (update::count_sums<Rule>() > 0) {
    static_assert(Rule::sums <= kMaxSums);
    loops.measure = measure_loop<Rule, T, S...>;
  }
  return loops;
}

template <class T, class List>
struct Loops;
template <class T, class... Rules>
struct Loops<T, List<Rules...>> {
  static constexpr RuleLoops<T> of[] = {loops_of<Rules, T>(StateIndices<Rules>{})...};
};

}  // namespace update_loops
}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
