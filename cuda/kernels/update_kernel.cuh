#pragma once

#include "traced.cuh"
#include "update_block.cuh"

// The traversal's kernel, as nvcc compiles it for the rules of this library and NVRTC for those of
// users (traced_source.h).
namespace chainrule::cuda {

// A row of which only the gradient's programs run.
struct OnlyPrograms {
  static constexpr auto states = update::names();
  template <class T>
  struct Coefs {
    T none;
  };
};

template <class Rule, class T, int width, bool observed, std::size_t... k>
CR_INLINE void update_elements(const typename Rule::template Coefs<T>& coefs,
                               const Row& row,
                               std::int64_t at,
                               Observed& seen,
                               std::index_sequence<k...>) {
  Values<T, width> p;
  Values<T, width> g;
  load_param(row, at, p);
  load(row.grad_dtype, row.grad, at, g);
  run_programs(row, g, p);
  if (row.write_grad) store(row.grad_dtype, row.grad, at, g);
  if constexpr (!__is_same(Rule, OnlyPrograms)) {
    Values<T, width> u = g;
    if (row.direction) load_as<T>(row.direction, at, u);
    const Values<T, width> before = p;
    Values<T, width> states[sizeof...(k) + 1];
    const auto present = [&](std::size_t state) {
      return !__is_same(Rule, Traced) || state < row.state_count;
    };
    ((present(k) ? load(row.state_dtype, row.state[k], at, states[k]) : void()), ...);
    if constexpr (__is_same(Rule, Traced)) {
      run_traced(*row.traced, coefs.value, u, p, states);
    } else {
      for (int i = 0; i < width; ++i) Rule::step(coefs, u.v[i], p.v[i], states[k].v[i]...);
    }
    if (observed && row.observed) {
      for (int i = 0; i < width; ++i) seen.see(g.v[i], before.v[i], p.v[i]);
      count_lost(row, before, p, seen.value[update::kLost]);
    }
    ((present(k) ? store(row.state_dtype, row.state[k], at, states[k]) : void()), ...);
    store(row.param_dtype, row.param, at, p);
    if (row.half) store(row.half_dtype, row.half, at, p);
  }
  if (row.clear_grad) store(row.grad_dtype, row.grad, at, Values<T, width>{});
}

// What a block does: `order[b]` is block b's chunk. Without `observed`, no row is.
template <class Rule, class T, bool observed>
__device__ inline void update_block(const Row* rows,
                                    const Chunk* chunks,
                                    const std::int32_t* order,
                                    double* statistics) {
  const std::int32_t place = order[blockIdx.x];
  const Chunk chunk = chunks[place];
  const Row& row = rows[chunk.row];
  const auto coefs = update::load_coefs<Rule, T>(row.coefs);
  Observed seen;
  for_my_elements<kWidth<T>>(row, chunk, [&](std::int64_t at, auto width) {
    update_elements<Rule, T, decltype(width)::value, observed>(
        coefs, row, at, seen, std::make_index_sequence<Rule::states.count>());
  });
  if (observed && row.observed) {
    write_statistics(seen, statistics + std::int64_t{place} * kStatistics);
  }
}

}  // namespace chainrule::cuda
