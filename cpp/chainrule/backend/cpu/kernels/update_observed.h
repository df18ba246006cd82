#pragma once

#include "chainrule/backend/cpu/kernels/update_statistics.h"
#include "chainrule/backend/cpu/kernels/vector.h"

// Loops that step and sum up what is observed, in registers. The bits of a step are those of the
// loop that only steps: the compiler is kept from sharing values between the step and the sums.
namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {
namespace update_observed {

using update::Row;
using update_loops::for_lanes;
using update_loops::kLanes;
using update_statistics::kGreatest;
using update_statistics::kObservedBlock;
using update_statistics::Lanes;

// The lanes of a chunk that is stepped and observed at once, in registers.
class ObservedVectors {
 public:
  CR_INLINE explicit ObservedVectors(const Lanes<float>& from)
      : grad_squares_(Vector::at(from.grad_squares)),
        param_squares_(Vector::at(from.param_squares)),
        update_squares_(Vector::at(from.update_squares)),
        max_abs_(Vector::at(from.max_abs)) {}
  CR_INLINE void store(Lanes<float>& to) const {
    grad_squares_.store(to.grad_squares);
    param_squares_.store(to.param_squares);
    update_squares_.store(to.update_squares);
    max_abs_.store(to.max_abs);
  }

  CR_INLINE void see(const Vector& g, const Vector& before, const Vector& after) {
    for (int k = 0; k < Vector::kParts; ++k) {
      const auto grad = g.parts[k];
      const auto old = before.parts[k];
      const auto change = after.parts[k] - old;
      grad_squares_.parts[k] += grad * grad;
      param_squares_.parts[k] += old * old;
      update_squares_.parts[k] += change * change;
      const auto size = reinterpret_cast<Vector::Floats>(reinterpret_cast<Vector::Ints>(grad) &
                                                         std::int32_t{0x7fffffff});
      auto& max = max_abs_.parts[k];
      max = size > max ? size : max;
    }
  }
  CR_INLINE bool squares_are_finite() const {
    Vector::Ints finite = grad_squares_.parts[0] <= kGreatest<float>;
    for (const auto& part : grad_squares_.parts) finite &= part <= kGreatest<float>;
    std::int64_t pairs[Vector::kWidth / 2];
    __builtin_memcpy(pairs, &finite, sizeof(finite));
    std::int64_t all = -1;
    for (std::int64_t pair : pairs) all &= pair;
    return all == -1;
  }

 private:
  Vector grad_squares_, param_squares_, update_squares_, max_abs_;
};

using ObservedLoop = void (*)(const Row& row,
                              std::int64_t n,
                              float* p,
                              const float* g,
                              float* const* states,
                              Lanes<float>& lanes);

// Steps over a chunk and observes it.
template <class Rule, class Seen>
CR_INLINE void observed_step(const Row& row,
                             std::int64_t n,
                             Lanes<float>& lanes,
                             float* __restrict p,
                             const float* g,
                             auto* __restrict... s) {
  const auto c = update::load_coefs<Rule, float>(row.coefs);
  const auto seen = Seen::of(row.program);
  const std::uintptr_t ahead = reach_ahead(2 + sizeof...(s));
  constexpr bool is_fused = !__is_same(Seen, update::Unchanged<float>);
  alignas(64) float before[is_fused ? kObservedBlock : kLanes];
  alignas(64) float sixteen[kLanes];
  const auto step = [&](std::int64_t i) __attribute__((always_inline)) {
    float updated = p[i];
    Rule::step(c, seen(g[i], updated), updated, s[i]...);
    return updated;
  };
  ObservedVectors sums(lanes);
  std::int64_t done = 0;
  while (done + kLanes <= n) {
    const std::int64_t rest = n - n % kLanes - done;
    const std::int64_t count = rest < kObservedBlock ? rest : kObservedBlock;
    for (std::int64_t at = 0; at < count; at += kLanes) {
      const std::int64_t i = done + at;
      update_loops::ask_ahead(p + i, ahead);
      update_loops::ask_ahead(g + i, ahead);
      (update_loops::ask_ahead(s + i, ahead), ...);
      Vector old = Vector::at(p + i);
      Vector grad = Vector::at(g + i);
#pragma GCC ivdep
#pragma GCC unroll 1
      for (int k = 0; k < kLanes; ++k) sixteen[k] = step(i + k);
      Vector updated = Vector::at(sixteen);
      old.forget_origin();
      grad.forget_origin();
      updated.forget_origin();
      updated.store(p + i);
      if constexpr (is_fused) {
        old.store(before + at);
        grad.store(sixteen);
#pragma GCC ivdep
#pragma GCC unroll 1
        for (int k = 0; k < kLanes; ++k) sixteen[k] = seen(sixteen[k], before[at + k]);
        grad = Vector::at(sixteen);
      }
      sums.see(grad, old, updated);
    }
    if (!sums.squares_are_finite()) {
      for_lanes(count, [&](std::int64_t i, int k) __attribute__((always_inline)) {
        lanes.count(k, seen(g[done + i], is_fused ? before[i] : 0));
      });
    }
    done += count;
  }
  sums.store(lanes);
  // The rest of a row, less than sixteen.
  for (int k = 0; done + k < n; ++k) {
    float old = p[done + k];
    float grad = g[done + k];
    float updated = step(done + k);
    asm("" : "+m"(old), "+m"(grad), "+m"(updated));
    p[done + k] = updated;
    const float shown = seen(grad, old);
    lanes.see(k, shown, old, updated);
    lanes.count(k, shown);
  }
}

template <class Rule, class Seen, int... S>
void observed_loop(const Row& row,
                   std::int64_t n,
                   float* p,
                   const float* g,
                   float* const* states,
                   Lanes<float>& lanes) {
  observed_step<Rule, Seen>(row, n, lanes, p, g, states[S]...);
}

// The rules' loops that step and observe, by how a program is fused.
struct ObservedLoops {
  ObservedLoop of[3];
};

template <class Rule, int... S>
constexpr ObservedLoops observed_loops_of(update_loops::Indices<S...>) {
  return {{observed_loop<Rule, update::Unchanged<float>, S...>,
           observed_loop<Rule, update::LinearProgram<float>, S...>,
           observed_loop<Rule, update::Program<float>, S...>}};
}

// With sixteen registers of 16 bytes there is no room for the sums.
#if defined(__x86_64__) && !defined(__AVX__)
inline constexpr bool kHasLoops = false;
#else
inline constexpr bool kHasLoops = true;
#endif

template <class List>
struct AllObservedLoops;
template <class... Rules>
struct AllObservedLoops<update_loops::List<Rules...>> {
  static constexpr ObservedLoops of[] = {
      observed_loops_of<Rules>(update_loops::StateIndices<Rules>{})...};
};

}  // namespace update_observed
}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
