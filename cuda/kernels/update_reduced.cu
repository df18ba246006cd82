#include "update_reduced.h"

#include "chainrule/update/rule_list.h"
#include "loop.cuh"
#include "reduced_elements.cuh"
#include "traced.cuh"

// The traversal of rows that keep something in fewer bits than they are computed in: 8-bit states,
// whose groups of kStateBlock neighbours share a scale, and what is rounded stochastically. Two
// warps hold a group, and its new states stay in their registers until its largest is known.
namespace chainrule::cuda {
namespace {

using namespace update;
using functors::List;

constexpr int kWarp = 32;
constexpr int kWarps = kThreads / kWarp;
static_assert(kStateBlock == 2 * kWarp * kFour && kSpan % kStateBlock == 0 && kChunk % kSpan == 0);
static_assert(kStateBlock % kPhiloxGroup == 0 && kPhiloxGroup == kFour * kPhiloxCounters);

// The largest sizes that warps have found. In turn, so that no warp writes what another one still
// reads.
struct Largest {
  std::uint32_t of[2][kMaxStates][kWarps];
};

// The states of this thread's places, and the scales they had.
template <class Rule, class T>
struct States {
  static constexpr int count = Rule::states.count;
  Four<T> of[count + 1];
  float scale[count + 1];

  // Calls f(k) for the states that the row has.
  template <class F>
  CR_INLINE static void for_each(const Row& row, const F& f) {
    for_each(row, f, std::make_index_sequence<count>());
  }
  template <class F, std::size_t... k>
  CR_INLINE static void for_each([[maybe_unused]] const Row& row,
                                 [[maybe_unused]] const F& f,
                                 std::index_sequence<k...>) {
    const auto present = [&](std::size_t state) {
      return !__is_same(Rule, Traced) || state < row.state_count;
    };
    static_cast<void>(present);
    ((present(k) ? f(static_cast<int>(k)) : void()), ...);
  }

  CR_INLINE void load(const Row& row, const Places& places) {
    const bool coded = is<std::int8_t>(row.state_dtype);
    for_each(row, [&](int k) {
      if (coded) {
        decode(row, k, places, of[k], scale[k]);
      } else {
        cuda::load(row.state_dtype, row.state[k], places, of[k]);
      }
    });
  }

  // To be called by all threads of a block; `turn` is another one than the last.
  __device__ inline void store(const Row& row,
                               const Places& places,
                               Largest& largest,
                               int turn) const {
    if (count == 0) return;
    if (is<std::int8_t>(row.state_dtype)) {
      store_codes(row, places, largest, turn);
      return;
    }
    const bool stochastic = row.stochastic_states && is<BFloat16>(row.state_dtype);
    for_each(row, [&](int k) {
      if (stochastic) {
        store_stochastically<BFloat16>(row, k, row.state[k], places, of[k]);
      } else {
        cuda::store(row.state_dtype, row.state[k], places, of[k]);
      }
    });
  }

 private:
  __device__ inline void store_codes(const Row& row,
                                     const Places& places,
                                     Largest& largest,
                                     int turn) const {
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    for_each(row, [&](int k) {
      std::uint32_t most = 0;
      for (int i = 0; i < kFour; ++i) {
        const std::uint32_t size = i < places.count ? size_bits(of[k].v[i]) : 0;
        most = size > most ? size : most;
      }
      most = __reduce_max_sync(0xffffffffu, most);
      if (threadIdx.x % kWarp == 0) largest.of[turn][k][warp] = most;
    });
    __syncthreads();
    for_each(row, [&](int k) {
      const std::uint32_t a = largest.of[turn][k][warp & ~1];
      const std::uint32_t b = largest.of[turn][k][warp | 1];
      encode(row, k, places, of[k], scale[k], sized(a > b ? a : b));
    });
  }
};

template <class T>
CR_INLINE void observe(const Row& row,
                       const Places& places,
                       const Four<T>& g,
                       const Four<T>& before,
                       const Four<T>& after,
                       Observed& seen) {
  const bool rounds = !row.stochastic;
  for_each_place(places, [&](int i) {
    seen.see(g.v[i], before.v[i], after.v[i]);
    const Values<T, 1> was{{before.v[i]}};
    const Values<T, 1> is{{after.v[i]}};
    if (rounds) count_lost(row, was, is, seen.value[kLost]);
  });
}

template <class Rule, class T>
__global__ void __launch_bounds__(kThreads) reduced_kernel(const Row* rows,
                                                           const Chunk* chunks,
                                                           const std::int32_t* order,
                                                           double* statistics) {
  __shared__ Largest largest;
  const std::int32_t place = order[blockIdx.x];
  const Chunk chunk = chunks[place];
  const Row& row = rows[chunk.row];
  const auto coefs = load_coefs<Rule, T>(row.coefs);
  constexpr auto each = std::make_index_sequence<Rule::states.count>();
  Observed seen;
  int turn = 0;
  for (int begin = 0; begin < chunk.count; begin += kSpan) {
    const Places places(chunk, begin);
    Four<T> p;
    Four<T> g;
    States<Rule, T> states;
    load_param(row, places, p);
    load(row.grad_dtype, row.grad, places, g);
    states.load(row, places);
    run_programs(row, g, p);
    if (row.write_grad) store(row.grad_dtype, row.grad, places, g);
    Four<T> u = g;
    if (row.direction) load_as<T>(row.direction, places, u);
    const Four<T> before = p;
    if constexpr (__is_same(Rule, Traced)) {
      run_traced(*row.traced, coefs.value, u, p, states.of);
    } else {
      [&]<std::size_t... k>(std::index_sequence<k...>) {
        for (int i = 0; i < kFour; ++i) {
          Rule::step(coefs, u.v[i], p.v[i], states.of[k].v[i]...);
        }
      }(each);
    }
    if (row.observed) observe(row, places, g, before, p, seen);
    states.store(row, places, largest, turn);
    store_param(row, places, p);
    if (row.clear_grad) store(row.grad_dtype, row.grad, places, Four<T>{});
    turn ^= 1;
  }
  if (row.observed) {
    write_statistics(seen, statistics + std::int64_t{place} * kStatistics);
  }
}

template <class Rule, class T>
__global__ void __launch_bounds__(kThreads) reduced_measure_kernel(const Row* rows,
                                                                   const Chunk* chunks,
                                                                   const std::int32_t* order,
                                                                   double* sums) {
  __shared__ Largest largest;
  const std::int32_t place = order[blockIdx.x];
  const Chunk chunk = chunks[place];
  const Row& row = rows[chunk.row];
  const auto coefs = load_coefs<Rule, T>(row.coefs);
  constexpr auto each = std::make_index_sequence<Rule::states.count>();
  double mine[kMaxSums] = {};
  int turn = 0;
  for (int begin = 0; begin < chunk.count; begin += kSpan) {
    const Places places(chunk, begin);
    Four<T> p;
    Four<T> g;
    States<Rule, T> states;
    load_param(row, places, p);
    load(row.grad_dtype, row.grad, places, g);
    states.load(row, places);
    run_programs(row, g, p);
    [&]<std::size_t... k>(std::index_sequence<k...>) {
      for (int i = 0; i < kFour; ++i) {
        const auto added = Rule::measure(coefs, g.v[i], p.v[i], states.of[k].v[i]...);
        for (int j = 0; j < Rule::sums; ++j) {
          if (i < places.count) mine[j] += static_cast<double>(added.addend[j]);
        }
      }
    }(each);
    states.store(row, places, largest, turn);
    turn ^= 1;
  }
  write_sums(mine, sums + std::int64_t{place} * kMaxSums);
}

// A stage works on full numbers, but for the one that applies an update.
template <class Rule>
constexpr bool works_on_reduced() {
  if constexpr (requires { Rule::is_stage; }) {
    return __is_same(Rule, ApplyStage);
  } else {
    return true;
  }
}

template <class Rule, class T>
constexpr RuleKernels kernels_of() {
  RuleKernels kernels{};
  if constexpr (works_on_reduced<Rule>()) {
    // One for both: these are not worth two, observed and not.
    kernels.update[0] = kernels.update[1] = reduced_kernel<Rule, T>;
    if constexpr (count_sums<Rule>() > 0) kernels.measure = reduced_measure_kernel<Rule, T>;
  }
  return kernels;
}

template <class List>
struct Kernels;
template <class... All>
struct Kernels<List<All...>> {
  static constexpr RuleKernels of[][2] = {{kernels_of<All, float>(), kernels_of<All, double>()}...};
};

}  // namespace

RuleKernels reduced_kernels(std::int16_t rule, bool wide) {
  if (rule == kTracedRule) return Kernels<List<Traced>>::of[0][wide];
  return Kernels<Rules>::of[rule][wide];
}

}  // namespace chainrule::cuda
