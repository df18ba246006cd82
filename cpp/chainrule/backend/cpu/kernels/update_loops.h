#pragma once

#include "chainrule/backend/cpu/kernels/loop.h"
#include "chainrule/backend/cpu/memory_ahead.h"
#include "chainrule/update/element.h"
#include "chainrule/update/rule_list.h"

// The rules' loops over a piece of memory: for each rule and type one that steps, also with a
// fused program of either form before it, and one that measures.
namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {
namespace update_loops {

using functors::List;
using update::Fused;
using update::kMaxStates;
using update::kMaxSums;
using update::LinearProgram;
using update::Program;
using update::Row;
using update::Unchanged;

// Element i of a chunk is added to lane i % kLanes, so that the order of additions is the same
// for every instruction set, thread count and block size.
inline constexpr int kLanes = 16;

using LaneSums = double[kMaxSums][kLanes];

// Asks for what lies some way ahead. The processor does so by itself, but not beyond a page, and
// later the more instructions stand between two loads.
template <class T>
CR_INLINE void ask_ahead(const T* at, std::uintptr_t ahead) {
  for (std::uintptr_t line = 0; line < kLanes * sizeof(T); line += 64) {
    // Beyond the array's end there is no address to compute, but a number.
    __builtin_prefetch(
        reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(at) + ahead + line));
  }
}

// Calls f(i, lane) for the elements of a block, sixteen neighbours at a time; before(i) for the
// sixteen. The inner loop becomes vector instructions only where it isn't unrolled before.
template <class Before, class F>
CR_INLINE void for_lanes(std::int64_t n, const Before& before, const F& f) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    before(i);
#pragma GCC ivdep
#pragma GCC unroll 1
    for (int k = 0; k < kLanes; ++k) f(i + k, k);
  }
  for (int k = 0; i + k < n; ++k) f(i + k, k);
}

template <class F>
CR_INLINE void for_lanes(std::int64_t n, const F& f) {
  for_lanes(n, [](std::int64_t) {}, f);
}

template <class Rule, class T, class Seen>
CR_INLINE void step_elements(const Row& row,
                             std::int64_t n,
                             T* __restrict p,
                             const T* g,
                             auto* __restrict... s) {
  const auto c = update::load_coefs<Rule, T>(row.coefs);
  const auto seen = Seen::of(row.program);
  const auto step = [&](std::int64_t i, int = 0) __attribute__((always_inline)) {
    Rule::step(c, seen(g[i], p[i]), p[i], s[i]...);
  };
  const std::uintptr_t ahead = reach_ahead(2 + sizeof...(s));
  const auto ask = [&](std::int64_t i) __attribute__((always_inline)) {
    ask_ahead(p + i, ahead);
    ask_ahead(g + i, ahead);
    (ask_ahead(s + i, ahead), ...);
  };
  if constexpr (sizeof...(s) > 0) return for_lanes(n, ask, step);
  // Two streams are found without our help where little stands between two loads: nothing, or as
  // much as processors that foresee more have room for.
  const bool is_little =
      __is_same(Seen, Unchanged<T>) || (__is_same(Seen, LinearProgram<T>) && ahead <= kLittleAhead);
  if (!is_little) return for_lanes(n, ask, step);
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) step(i);
}

template <class T>
using StepLoop = void (*)(const Row& row, std::int64_t n, T* p, const T* g, T* const* states);
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

template <class Rule, class T, class Seen, int... S>
void step_loop(const Row& row, std::int64_t n, T* p, const T* g, T* const* states) {
  step_elements<Rule, T, Seen>(row, n, p, g, states[S]...);
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

// A rule's loops, by how a program is fused.
template <class T>
struct RuleLoops {
  StepLoop<T> step[3];
  MeasureLoop<T> measure;
};

template <class Rule, class T, int... S>
constexpr RuleLoops<T> loops_of(Indices<S...>) {
  static_assert(sizeof...(S) <= kMaxStates);
  RuleLoops<T> loops{
      {step_loop<Rule, T, Unchanged<T>, S...>, step_loop<Rule, T, LinearProgram<T>, S...>,
       step_loop<Rule, T, Program<T>, S...>},
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
