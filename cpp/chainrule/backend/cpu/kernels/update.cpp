#include "chainrule/backend/cpu/kernels/kernels.h"
#include "chainrule/backend/cpu/kernels/loop.h"
#include "chainrule/core/dtype.h"
#include "chainrule/update/element.h"
#include "chainrule/update/rule_list.h"

// The traversal over many tensors. Rows of one type without programs are worked on where they
// lie; everything else passes through buffers of a size that the first-level cache holds.
namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {
namespace {

using namespace update;
using namespace functors;

constexpr std::int64_t kBlock = 1024;
static_assert(kChunk % kBlock == 0);

// The rules: one loop per rule and type.

template <class T>
using StepLoop = void (*)(const double* coefs, std::int64_t n, T* p, const T* g, T* const* states);

template <class Rule, class T, int... S>
void step_loop(const double* coefs, std::int64_t n, T* p, const T* g, T* const* states) {
  const auto c = load_coefs<Rule, T>(coefs);
  [&](auto* __restrict... s) __attribute__((always_inline)) {
#pragma GCC ivdep
    for (std::int64_t i = 0; i < n; ++i) Rule::step(c, g[i], p[i], s[i]...);
  }(states[S]...);
}

template <int... S>
struct Indices {};
template <int N, int... S>
struct MakeIndices : MakeIndices<N - 1, N - 1, S...> {};
template <int... S>
struct MakeIndices<0, S...> {
  using type = Indices<S...>;
};

template <class Rule, class T, int... S>
constexpr StepLoop<T> loop_of(Indices<S...>) {
  static_assert(sizeof...(S) <= kMaxStates);
  return step_loop<Rule, T, S...>;
}

template <class T, class List>
struct Loops;
template <class T, class... Rules>
struct Loops<T, List<Rules...>> {
  static constexpr StepLoop<T> loops[] = {
      loop_of<Rules, T>(typename MakeIndices<Rules::states.count>::type{})...};
};

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

template <class T>
void run_block(const Row& row, std::int64_t at, std::int64_t n) {
  alignas(64) T p_buffer[kBlock];
  alignas(64) T g_buffer[kBlock];
  alignas(64) T state_buffer[kMaxStates][kBlock];
  T* p = elements(row.param_dtype, row.param, at, p_buffer, n);
  if (row.half) refresh_master(row.half_dtype, row.half, at, p, n);
  const T* g = gradient(row, row.shared_count, row.own_count, row.write_grad, at, p, g_buffer, n);
  if (row.rule == kNoRule) return;
  T* states[kMaxStates];
  for (int k = 0; k < row.state_count; ++k) {
    states[k] = elements(row.state_dtype, row.state[k], at, state_buffer[k], n);
  }
  Loops<T, Rules>::loops[row.rule](row.coefs, n, p, g, states);
  if (!is<T>(row.state_dtype)) {
    for (int k = 0; k < row.state_count; ++k) {
      store_block(row.state_dtype, row.state[k], at, states[k], n);
    }
  }
  if (p == p_buffer) store_block(row.param_dtype, row.param, at, p, n);
  if (row.half) store_block(row.half_dtype, row.half, at, p, n);
}

template <class T>
void run_chunk(const Row& row, const Chunk& chunk) {
  if (row.in_place) {
    T* states[kMaxStates];
    for (int k = 0; k < row.state_count; ++k) {
      states[k] = static_cast<T*>(row.state[k]) + chunk.begin;
    }
    Loops<T, Rules>::loops[row.rule](row.coefs, chunk.count,
                                     static_cast<T*>(row.param) + chunk.begin,
                                     static_cast<const T*>(row.grad) + chunk.begin, states);
    return;
  }
  for (std::int64_t done = 0; done < chunk.count; done += kBlock) {
    const std::int64_t rest = chunk.count - done;
    run_block<T>(row, chunk.begin + done, rest < kBlock ? rest : kBlock);
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
    if (is<double>(row.param_dtype)) {
      run_chunk<double>(row, chunk);
    } else {
      run_chunk<float>(row, chunk);
    }
  }
}

// Sums in a fixed number of lanes, so that the order of additions is the same everywhere; in
// double, so that no float32 gradient overflows.
template <class T>
double chunk_squares(const Row& row, const Chunk& chunk, int shared_limit) {
  constexpr int kLanes = 16;
  alignas(64) T p_buffer[kBlock];
  alignas(64) T g_buffer[kBlock];
  double lanes[kLanes] = {};
  const int shared = row.shared_count < shared_limit ? row.shared_count : shared_limit;
  for (std::int64_t done = 0; done < chunk.count; done += kBlock) {
    const std::int64_t rest = chunk.count - done;
    const std::int64_t n = rest < kBlock ? rest : kBlock;
    const std::int64_t at = chunk.begin + done;
    const T* p = shared ? elements(row.param_dtype, row.param, at, p_buffer, n) : nullptr;
    const T* g = gradient(row, shared, 0, false, at, p, g_buffer, n);
    std::int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
      for (int k = 0; k < kLanes; ++k) {
        const double x = static_cast<double>(g[i + k]);
        lanes[k] += x * x;
      }
    }
    for (int k = 0; i + k < n; ++k) {
      const double x = static_cast<double>(g[i + k]);
      lanes[k] += x * x;
    }
  }
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
  add("update_sum_squares", 0, reinterpret_cast<void*>(sum_squares));
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
