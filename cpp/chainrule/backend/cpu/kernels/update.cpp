#include "chainrule/backend/cpu/kernels/kernels.h"
#include "chainrule/backend/cpu/kernels/traced_loops.h"
#include "chainrule/backend/cpu/kernels/update_loops.h"
#include "chainrule/core/dtype.h"

// The traversal over many tensors. Rows of one type are worked on where they lie, a fused program
// and statistics included; everything else passes through buffers of a size that the first-level
// cache holds.
namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {
namespace {

using namespace update;
using namespace update_loops;
using traced_loops::loops_of;
using namespace functors;

constexpr std::int64_t kBlock = 1024;
static_assert(kChunk % kBlock == 0);

// Gradients.

template <GradientOp op, class T>
CR_INLINE void apply_to(T* g, const T* p, T a, T b, std::int64_t n) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) g[i] = apply<op>(g[i], p[i], a, b);
}

template <class T>
void run_program(const GradientStep* steps, int count, T* g, const T* p, std::int64_t n) {
  for (const GradientStep* step = steps; step != steps + count; ++step) {
    const T a = static_cast<T>(step->a);
    const T b = static_cast<T>(step->b);
    switch (step->op) {
      case GradientOp::scale:
        apply_to<GradientOp::scale>(g, p, a, b, n);
        break;
      case GradientOp::weight_decay:
        apply_to<GradientOp::weight_decay>(g, p, a, b, n);
        break;
      case GradientOp::lasso:
        apply_to<GradientOp::lasso>(g, p, a, b, n);
        break;
      case GradientOp::clip:
        apply_to<GradientOp::clip>(g, p, a, b, n);
        break;
    }
  }
}

// Types.

template <class T>
void load_block(std::uint8_t dtype, const void* source, std::int64_t at, T* out, std::int64_t n) {
  visit(static_cast<Dtype>(dtype), [&](auto tag) {
    using S = typename decltype(tag)::type;
    const S* x = static_cast<const S*>(source) + at;
    for (std::int64_t i = 0; i < n; ++i) out[i] = static_cast<T>(static_cast<Compute<S>>(x[i]));
  });
}

template <class T>
void store_block(std::uint8_t dtype, void* target, std::int64_t at, const T* x, std::int64_t n) {
  visit(static_cast<Dtype>(dtype), [&](auto tag) {
    using S = typename decltype(tag)::type;
    S* out = static_cast<S*>(target) + at;
    for (std::int64_t i = 0; i < n; ++i) out[i] = static_cast<S>(static_cast<Compute<S>>(x[i]));
  });
}

template <class T>
void refresh_master(std::uint8_t dtype, const void* half, std::int64_t at, T* p, std::int64_t n) {
  visit(static_cast<Dtype>(dtype), [&](auto tag) {
    using S = typename decltype(tag)::type;
    if constexpr (sizeof(S) == 2 && !__is_same(Compute<S>, S)) {
      const S* h = static_cast<const S*>(half) + at;
      for (std::int64_t i = 0; i < n; ++i) p[i] = refreshed(p[i], h[i]);
    }
  });
}

template <class T>
constexpr bool is(std::uint8_t dtype) {
  return dtype == static_cast<std::uint8_t>(dtype_of<T>);
}

// Elements at.. of an array in type T: where they lie if they are of it, in `buffer` if not.
template <class T>
T* elements(std::uint8_t dtype, void* array, std::int64_t at, T* buffer, std::int64_t n) {
  if (is<T>(dtype)) return static_cast<T*>(array) + at;
  load_block(dtype, array, at, buffer, n);
  return buffer;
}

template <class T>
void copy_block(T* out, const T* x, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = x[i];
}

// The gradient of a block after `shared` and `own` steps. Memory is changed only if `write`.
template <class T>
const T* gradient(const Row& row,
                  int shared,
                  int own,
                  bool write,
                  std::int64_t at,
                  const T* p,
                  T* buffer,
                  std::int64_t n) {
  T* g = elements(row.grad_dtype, row.grad, at, buffer, n);
  if (shared + own == 0) return g;
  if (g != buffer && !write) {
    copy_block(buffer, g, n);
    g = buffer;
  }
  run_program(row.shared_steps, shared, g, p, n);
  run_program(row.own_steps, own, g, p, n);
  if (write && g == buffer) store_block(row.grad_dtype, row.grad, at, g, n);
  return g;
}

// One block of a row in type T, and room for what has to be converted.
template <class T>
struct Block {
  std::int64_t at;
  std::int64_t n;
  T* p;
  const T* g;
  T* states[kMaxStates];
  alignas(64) T p_buffer[kBlock];
  alignas(64) T g_buffer[kBlock];
  alignas(64) T before[kBlock];
  alignas(64) T state_buffer[kMaxStates][kBlock];

  // `ready`: whether the gradient is to be as the whole program leaves it; `write`: in memory too.
  void load(const Row& row, std::int64_t begin, std::int64_t count, bool ready, bool write) {
    at = begin;
    n = count;
    p = elements(row.param_dtype, row.param, at, p_buffer, n);
    if (row.half) refresh_master(row.half_dtype, row.half, at, p, n);
    const int shared = ready ? row.shared_count : 0;
    const int own = ready ? row.own_count : 0;
    g = gradient(row, shared, own, write, at, p, g_buffer, n);
  }
  void load_states(const Row& row) {
    for (int k = 0; k < row.state_count; ++k) {
      states[k] = elements(row.state_dtype, row.state[k], at, state_buffer[k], n);
    }
  }
  void store_states(const Row& row) {
    if (is<T>(row.state_dtype)) return;
    for (int k = 0; k < row.state_count; ++k) {
      store_block(row.state_dtype, row.state[k], at, states[k], n);
    }
  }
  void store_param(const Row& row) {
    if (p == p_buffer) store_block(row.param_dtype, row.param, at, p, n);
    if (row.half) store_block(row.half_dtype, row.half, at, p, n);
  }
};

// Changes that were rounded away where a half-precision parameter was stored.
template <class T>
void count_lost(std::uint8_t dtype, const T* before, const T* after, std::int64_t n, T* lost) {
  visit(static_cast<Dtype>(dtype), [&](auto tag) {
    using S = typename decltype(tag)::type;
    if constexpr (sizeof(S) == 2 && !__is_same(Compute<S>, S)) {
      for_lanes(n, [&](std::int64_t i, int k) __attribute__((always_inline)) {
        lost[k] += math::select(is_lost<S>(before[i], after[i]), T(1), T(0));
      });
    }
  });
}

template <class T>
void run_block(const Row& row, Block<T>& block, std::int64_t at, std::int64_t n, Lanes<T>* lanes) {
  const bool fused = row.fused && !row.direction;
  block.load(row, at, n, !fused, row.write_grad);
  if (row.rule == kNoRule) return;
  block.load_states(row);
  const bool half = row.observed && block.p == block.p_buffer;
  if (half || (row.observed && row.direction)) copy_block(block.before, block.p, n);
  const auto& loops = loops_of<T>(row);
  if (row.direction) {
    const T* direction = static_cast<const T*>(row.direction) + at;
    loops.step[0][0](row, n, block.p, direction, block.states, nullptr);
    if (row.observed) {
      for_lanes(n, [&](std::int64_t i, int k) __attribute__((always_inline)) {
        lanes->see(k, block.g[i], block.before[i], block.p[i]);
      });
    }
  } else {
    loops.step[fused][row.observed](row, n, block.p, block.g, block.states, lanes);
  }
  if (half) count_lost(row.param_dtype, block.before, block.p, n, lanes->lost);
  block.store_states(row);
  block.store_param(row);
}

// Calls f(begin, count) for the blocks of a chunk.
template <class F>
CR_INLINE void for_blocks(const Chunk& chunk, const F& f) {
  for (std::int64_t done = 0; done < chunk.count; done += kBlock) {
    const std::int64_t rest = chunk.count - done;
    f(chunk.begin + done, rest < kBlock ? rest : kBlock);
  }
}

template <class T>
void run_chunk(const Row& row, const Chunk& chunk, Lanes<T>* lanes) {
  if (row.in_place && !row.direction && (!row.programmed || row.fused)) {
    T* states[kMaxStates];
    for (int k = 0; k < row.state_count; ++k) {
      states[k] = static_cast<T*>(row.state[k]) + chunk.begin;
    }
    loops_of<T>(row).step[row.fused][row.observed](
        row, chunk.count, static_cast<T*>(row.param) + chunk.begin,
        static_cast<const T*>(row.grad) + chunk.begin, states, lanes);
    return;
  }
  Block<T> block;
  for_blocks(chunk, [&](std::int64_t at, std::int64_t n) { run_block(row, block, at, n, lanes); });
}

void clear_gradient(const Row& row, const Chunk& chunk) {
  const std::int64_t size = item_size(static_cast<Dtype>(row.grad_dtype));
  __builtin_memset(static_cast<char*>(row.grad) + chunk.begin * size, 0,
                   static_cast<std::size_t>(chunk.count * size));
}

template <class T>
void update_chunk(const Row& row, const Chunk& chunk, double* statistics) {
  if (!row.observed) return run_chunk<T>(row, chunk, nullptr);
  Lanes<T> lanes;
  run_chunk(row, chunk, &lanes);
  for (int k = 0; k < kStatistics; ++k) statistics[k] = 0;
  for (int k = 0; k < kLanes; ++k) {
    statistics[kGradSquares] += lanes.grad_squares[k];
    statistics[kParamSquares] += lanes.param_squares[k];
    statistics[kUpdateSquares] += lanes.update_squares[k];
    const double size = static_cast<double>(lanes.max_abs[k]);
    if (size > statistics[kMaxAbs]) statistics[kMaxAbs] = size;
    statistics[kNonfinite] += static_cast<double>(lanes.nonfinite[k]);
    statistics[kLost] += static_cast<double>(lanes.lost[k]);
  }
}

// Asks for the beginning of a row's arrays: the processor foresees steady streams by itself, but
// not where the next one begins.
CR_INLINE void prefetch(const Row& row) {
  constexpr int kLines = 4;
  const char* arrays[] = {static_cast<const char*>(row.param), static_cast<const char*>(row.grad),
                          static_cast<const char*>(row.state[0]),
                          static_cast<const char*>(row.state[1])};
  const int count = row.state_count < 2 ? 2 + row.state_count : 4;
  for (int k = 0; k < count; ++k) {
    for (int line = 0; line < kLines; ++line) __builtin_prefetch(arrays[k] + 64 * line);
  }
}

void update_chunks(const Batch& batch, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) {
    const Chunk& chunk = batch.chunks[i];
    const Row& row = batch.rows[chunk.row];
    if (i + 1 < end && batch.chunks[i + 1].begin == 0)
      prefetch(batch.rows[batch.chunks[i + 1].row]);
    if (row.skip) continue;
    double* statistics = batch.statistics ? batch.statistics + i * kStatistics : nullptr;
    if (is<double>(row.param_dtype)) {
      update_chunk<double>(row, chunk, statistics);
    } else {
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
