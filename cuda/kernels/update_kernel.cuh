#pragma once

#include "traced.cuh"
#include "update_elements.cuh"

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

// A thread's part of what an observed chunk sums up.
struct Observed {
  double value[update::kStatistics] = {};

  template <class T>
  CR_INLINE void see(T g, T before, T after) {
    const double wide_g = static_cast<double>(g);
    const double wide_p = static_cast<double>(before);
    const double wide_u = static_cast<double>(after - before);
    value[update::kGradSquares] += wide_g * wide_g;
    value[update::kParamSquares] += wide_p * wide_p;
    value[update::kUpdateSquares] += wide_u * wide_u;
    const double size = wide_g < 0 ? -wide_g : wide_g;
    if (size > value[update::kMaxAbs]) value[update::kMaxAbs] = size;
    if (!(size - size == 0)) value[update::kNonfinite] += 1;
  }
};

template <class T, int width>
CR_INLINE void run_programs(const Row& row, Values<T, width>& g, const Values<T, width>& p) {
  if (!row.programmed) return;
  if (row.fused != update::Fused::none) {
    const auto program = update::Program<T>::of(row.program);
    for (int i = 0; i < width; ++i) g.v[i] = program(g.v[i], p.v[i]);
  } else {
    run_program(row.shared_steps, row.shared_count, g, p);
    run_program(row.own_steps, row.own_count, g, p);
  }
}

template <class T, int width>
CR_INLINE void count_lost(const Row& row,
                          const Values<T, width>& before,
                          const Values<T, width>& after,
                          double& lost) {
  const bool float16 = is<Float16>(row.param_dtype);
  if (!float16 && !is<BFloat16>(row.param_dtype)) return;
  for (int i = 0; i < width; ++i) {
    const bool is_gone = float16 ? update::is_lost<Float16>(before.v[i], after.v[i])
                                 : update::is_lost<BFloat16>(before.v[i], after.v[i]);
    if (is_gone) lost += 1;
  }
}

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
    if constexpr (observed) {
      for (int i = 0; i < width; ++i) seen.see(g.v[i], before.v[i], p.v[i]);
      count_lost(row, before, p, seen.value[update::kLost]);
    }
    ((present(k) ? store(row.state_dtype, row.state[k], at, states[k]) : void()), ...);
    store(row.param_dtype, row.param, at, p);
    if (row.half) store(row.half_dtype, row.half, at, p);
  }
  if (row.clear_grad) store(row.grad_dtype, row.grad, at, Values<T, width>{});
}

// Adds up what the threads of a block found, always in the same order; the result is thread 0's.
template <int count, class Join>
__device__ inline void join_block(double (&values)[count], const Join& join) {
  __shared__ double shared[kThreads];
  const unsigned t = threadIdx.x;
  for (int k = 0; k < count; ++k) {
    shared[t] = values[k];
    for (unsigned half = kThreads / 2; half > 0; half /= 2) {
      __syncthreads();
      if (t < half) shared[t] = join(k, shared[t], shared[t + half]);
    }
    values[k] = shared[0];
    __syncthreads();
  }
}

// What a block does: `order[b]` is block b's chunk.
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
  if constexpr (observed) {
    join_block(seen.value,
               [](int k, double a, double b) { return k == update::kMaxAbs ? (a > b ? a : b) : a + b; });
    if (threadIdx.x == 0) {
      for (int k = 0; k < update::kStatistics; ++k) {
        statistics[std::int64_t{place} * update::kStatistics + k] = seen.value[k];
      }
    }
  }
}

}  // namespace chainrule::cuda
