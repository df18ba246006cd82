#include "chainrule/backend/cpu/kernels/kernels.h"
#include "chainrule/backend/cpu/kernels/traced_loops.h"
#include "chainrule/backend/cpu/kernels/update_blocks.h"
#include "chainrule/backend/cpu/kernels/update_observed.h"

// The traversal over many tensors. Rows of one type are worked on where they lie, a fused program
// and statistics included; everything else passes through buffers (update_blocks.h).
namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {
namespace {

using namespace update;
using namespace update_loops;
using namespace update_storage;
using namespace update_blocks;
using namespace update_statistics;
using traced_loops::loops_of;
using namespace functors;

template <class T>
void run_block(const Row& row, Block<T>& block, std::int64_t at, std::int64_t n, Lanes<T>* lanes) {
  const Fused fused = row.direction ? Fused::none : row.fused;
  block.load(row, at, n, fused == Fused::none, row.write_grad);
  if (row.rule == kNoRule) return;
  block.load_states(row);
  if (lanes) copy_block(block.before, block.p, n);
  const T* g = row.direction ? static_cast<const T*>(row.direction) + at : block.g;
  loops_of<T>(row).step[static_cast<int>(fused)](row, n, block.p, g, block.states);
  if (lanes) {
    observe(row, fused, n, block.before, block.g, block.p, *lanes);
    if (block.p == block.p_buffer && !row.stochastic) {
      count_lost(row.param_dtype, block.before, block.p, n, *lanes);
    }
  }
  block.store_states(row);
  block.store_param(row);
}

// Calls f(begin, count) for the blocks of a chunk.
template <std::int64_t block = kBlock, class F>
CR_INLINE void for_blocks(const Chunk& chunk, const F& f) {
  for (std::int64_t done = 0; done < chunk.count; done += block) {
    const std::int64_t rest = chunk.count - done;
    f(chunk.begin + done, rest < block ? rest : block);
  }
}

template <class T>
CR_INLINE void find_states(const Row& row, std::int64_t at, T** states) {
  for (int k = 0; k < row.state_count; ++k) states[k] = static_cast<T*>(row.state[k]) + at;
}

// Whether a row is worked on where it lies.
CR_INLINE bool lies_ready(const Row& row) {
  return row.in_place && !row.direction && (!row.programmed || row.fused != Fused::none);
}

template <class T>
CR_INLINE void step_in_place(const Row& row, std::int64_t at, std::int64_t n) {
  T* states[kMaxStates];
  find_states(row, at, states);
  loops_of<T>(row).step[static_cast<int>(row.fused)](row, n, static_cast<T*>(row.param) + at,
                                                     static_cast<const T*>(row.grad) + at, states);
}

template <class T>
void observe_in_place(const Row& row, std::int64_t at, std::int64_t n, Lanes<T>& lanes) {
  const T* p = static_cast<const T*>(row.param) + at;
  const T* g = static_cast<const T*>(row.grad) + at;
  alignas(64) T before[kObservedBlock];
  copy_block(before, p, n);
  step_in_place<T>(row, at, n);
  observe(row, row.fused, n, before, g, p, lanes);
}

template <class T>
void step_observed(const Row& row, const Chunk& chunk, Lanes<T>& lanes) {
  T* states[kMaxStates];
  find_states(row, chunk.begin, states);
  update_observed::AllObservedLoops<Rules>::of[row.rule].of[static_cast<int>(row.fused)](
      row, chunk.count, static_cast<T*>(row.param) + chunk.begin,
      static_cast<const T*>(row.grad) + chunk.begin, states, lanes);
}

// Not inlined: what the rows of thousands of small tensors pass through stays short.
template <class T>
[[gnu::noinline]] void run_blocks(const Row& row, const Chunk& chunk, Lanes<T>* lanes) {
  Block<T> block;
  for_blocks(chunk, [&](auto at, auto n) { run_block(row, block, at, n, lanes); });
}

template <class T>
[[gnu::noinline]] void observe_chunk(const Row& row, const Chunk& chunk, double* statistics) {
  Lanes<T> lanes;
  if (!lies_ready(row)) {
    run_blocks(row, chunk, &lanes);
  } else if (update_observed::kHasLoops && sizeof(T) == sizeof(float) && row.rule != kTracedRule) {
    if constexpr (update_observed::kHasLoops && sizeof(T) == sizeof(float)) {
      step_observed(row, chunk, lanes);
    }
  } else {
    for_blocks<kObservedBlock>(chunk,
                               [&](auto at, auto n) { observe_in_place(row, at, n, lanes); });
  }
  join(lanes, statistics);
}

void clear_gradient(const Row& row, const Chunk& chunk) {
  const std::int64_t size = item_size(static_cast<Dtype>(row.grad_dtype));
  __builtin_memset(static_cast<char*>(row.grad) + chunk.begin * size, 0,
                   static_cast<std::size_t>(chunk.count * size));
}

template <class T>
CR_INLINE void update_chunk(const Row& row, const Chunk& chunk, double* statistics) {
  if (row.observed) return observe_chunk<T>(row, chunk, statistics);
  if (lies_ready(row)) return step_in_place<T>(row, chunk.begin, chunk.count);
  run_blocks<T>(row, chunk, nullptr);
}

// Asks for the beginning of a row's arrays: the processor foresees steady streams by itself, but
// not where the next one begins. A rule that is interpreted comes to some of them late.
CR_INLINE void prefetch(const Row& row) {
  const int lines = row.rule == kTracedRule && !row.traced->loop[0] ? 16 : 4;
  const auto ask = [&](const void* array) __attribute__((always_inline)) {
    for (int line = 0; line < lines; ++line) {
      __builtin_prefetch(static_cast<const char*>(array) + 64 * line);
    }
  };
  ask(row.param);
  ask(row.grad);
  if (row.state_count > 0) ask(row.state[0]);
  if (row.state_count > 1) ask(row.state[1]);
}

void update_chunks(const Batch& batch, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) {
    const Chunk& chunk = batch.chunks[i];
    const Row& row = batch.rows[chunk.row];
    if (i + 1 < end && batch.chunks[i + 1].begin == 0)
      prefetch(batch.rows[batch.chunks[i + 1].row]);
    double* statistics = batch.statistics ? batch.statistics + i * kStatistics : nullptr;
    if (!row.skip && is<double>(row.param_dtype)) {
      update_chunk<double>(row, chunk, statistics);
    } else if (!row.skip) {
      update_chunk<float>(row, chunk, statistics);
    }
    if (row.clear_grad) clear_gradient(row, chunk);
  }
}

template <class T>
void measure_chunk(const Row& row, const Chunk& chunk, double* sums) {
  alignas(64) double lanes[kMaxSums][kLanes] = {};
  Block<T> block;
  for_blocks(chunk, [&](std::int64_t at, std::int64_t n) {
    block.load(row, at, n, true, false);
    block.load_states(row);
    loops_of<T>(row).measure(row, n, block.p, block.g, block.states, lanes);
    block.store_states(row);
  });
  for (int j = 0; j < row.sums; ++j) {
    sums[j] = 0;
    for (double lane : lanes[j]) sums[j] += lane;
  }
}

void measure(const Batch& batch, std::int64_t begin, std::int64_t end, double* sums) {
  for (std::int64_t i = begin; i < end; ++i) {
    const Chunk& chunk = batch.chunks[i];
    const Row& row = batch.rows[chunk.row];
    if (row.sums == 0 || row.skip) continue;
    if (is<double>(row.param_dtype)) {
      measure_chunk<double>(row, chunk, sums + i * kMaxSums);
    } else {
      measure_chunk<float>(row, chunk, sums + i * kMaxSums);
    }
  }
}

// Sums in a fixed number of lanes, so that the order of additions is the same everywhere; in
// double, so that no float32 gradient overflows.
template <class T>
double chunk_squares(const Row& row, const Chunk& chunk, int shared_limit) {
  alignas(64) T p_buffer[kBlock];
  alignas(64) T g_buffer[kBlock];
  double lanes[kLanes] = {};
  const int shared = row.shared_count < shared_limit ? row.shared_count : shared_limit;
  for_blocks(chunk, [&](std::int64_t at, std::int64_t n) {
    const T* p = shared ? elements(row.param_dtype, row.param, at, p_buffer, n) : nullptr;
    const T* g = gradient(row, shared, 0, false, at, p, g_buffer, n);
    for_lanes(n, [&](std::int64_t i, int k) __attribute__((always_inline)) {
      const double x = static_cast<double>(g[i]);
      lanes[k] += x * x;
    });
  });
  double sum = 0;
  for (double lane : lanes) sum += lane;
  return sum;
}

void sum_squares(const Batch& batch,
                 std::int64_t begin,
                 std::int64_t end,
                 int shared_limit,
                 double* partial) {
  for (std::int64_t i = begin; i < end; ++i) {
    const Chunk& chunk = batch.chunks[i];
    const Row& row = batch.rows[chunk.row];
    if (row.skip) {
      partial[i] = 0;
      continue;
    }
    partial[i] = is<double>(row.param_dtype) ? chunk_squares<double>(row, chunk, shared_limit)
                                             : chunk_squares<float>(row, chunk, shared_limit);
  }
}

}  // namespace

void register_update(KernelRegistrar add) {
  add("update", 0, reinterpret_cast<void*>(update_chunks));
  add("update_measure", 0, reinterpret_cast<void*>(measure));
  add("update_sum_squares", 0, reinterpret_cast<void*>(sum_squares));
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
