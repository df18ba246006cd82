#pragma once

#include "update_elements.cuh"

// What the kernels over a row share: the gradient's programs, and what an observed chunk sums up.
namespace chainrule::cuda {

using update::Fused;
using update::kStatistics;
using update::Program;

// A thread's part of what an observed chunk sums up.
struct Observed {
  double value[kStatistics] = {};

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
  if (row.fused != Fused::none) {
    const auto program = Program<T>::of(row.program);
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

// Adds up what the threads of a block found, always in the same order; the result is thread 0's.
// All values at once, since what takes time is waiting for each other.
template <int count, class Join>
__device__ inline void join_block(double (&values)[count], const Join& join) {
  __shared__ double shared[count][kThreads];
  const unsigned t = threadIdx.x;
  for (int k = 0; k < count; ++k) shared[k][t] = values[k];
  for (unsigned half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (t >= half) continue;
    for (int k = 0; k < count; ++k) {
      shared[k][t] = join(k, shared[k][t], shared[k][t + half]);
    }
  }
  if (t == 0) {
    for (int k = 0; k < count; ++k) values[k] = shared[k][0];
  }
  __syncthreads();  // before the next use of the memory
}

// Of a whole chunk, written by one thread.
__device__ inline void write_statistics(Observed& seen, double* statistics) {
  join_block(seen.value, [](int k, double a, double b) {
    return k == update::kMaxAbs ? (a > b ? a : b) : a + b;
  });
  if (threadIdx.x != 0) return;
  for (int k = 0; k < kStatistics; ++k) statistics[k] = seen.value[k];
}

__device__ inline void write_sums(double (&mine)[update::kMaxSums], double* sums) {
  join_block(mine, [](int, double a, double b) { return a + b; });
  if (threadIdx.x != 0) return;
  for (int k = 0; k < update::kMaxSums; ++k) sums[k] = mine[k];
}

}  // namespace chainrule::cuda
