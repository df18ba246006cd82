#include <vector>

#include "../staging.h"
#include "chainrule/core/dtype.h"
#include "chainrule/update/element.h"
#include "chainrule/update/rule_list.h"
#include "kernels.h"
#include "loop.cuh"

// The traversal over many tensors: one launch per rule, however many tensors and values it has;
// a block works on one chunk of one row.
namespace chainrule::cuda {
namespace {

using namespace update;
using functors::List;

// Neighbouring elements that a thread works on: 16 bytes of float; double is not worth a second
// copy of the code.
template <class T>
inline constexpr int kWidth = sizeof(T) == 4 ? 4 : 1;

template <class T>
CR_INLINE bool is(std::uint8_t dtype) {
  return dtype == static_cast<std::uint8_t>(dtype_of<T>);
}

// Neighbouring elements, computed on in type T, stored as any other.
template <class T, int width>
struct Values {
  T v[width];
};

template <class S, class T, int width>
CR_INLINE void load_as(const void* array, std::int64_t at, Values<T, width>& out) {
  constexpr int step = width * sizeof(S) <= 16 ? width : 16 / static_cast<int>(sizeof(S));
  const char* data = static_cast<const char*>(array) + at * static_cast<int>(sizeof(S));
  for (int i = 0; i < width; i += step) {
    const Pack<S, step> pack(data, false, static_cast<std::uint32_t>(i / step));
    for (int k = 0; k < step; ++k) out.v[i + k] = static_cast<T>(pack[k]);
  }
}

template <class S, class T, int width>
CR_INLINE void store_as(void* array, std::int64_t at, const Values<T, width>& values) {
  constexpr int step = width * sizeof(S) <= 16 ? width : 16 / static_cast<int>(sizeof(S));
  char* data = static_cast<char*>(array) + at * static_cast<int>(sizeof(S));
  for (int i = 0; i < width; i += step) {
    Pack<S, step> pack;
    for (int k = 0; k < step; ++k) {
      pack.values[k] = to_stored<S>(static_cast<Compute<S>>(values.v[i + k]));
    }
    pack.store(data, static_cast<std::uint32_t>(i / step));
  }
}

template <class V>
CR_INLINE void load(std::uint8_t dtype, const void* array, std::int64_t at, V& out) {
  if (is<float>(dtype)) return load_as<float>(array, at, out);
  if (is<BFloat16>(dtype)) return load_as<BFloat16>(array, at, out);
  if (is<Float16>(dtype)) return load_as<Float16>(array, at, out);
  load_as<double>(array, at, out);
}

template <class V>
CR_INLINE void store(std::uint8_t dtype, void* array, std::int64_t at, const V& values) {
  if (is<float>(dtype)) return store_as<float>(array, at, values);
  if (is<BFloat16>(dtype)) return store_as<BFloat16>(array, at, values);
  if (is<Float16>(dtype)) return store_as<Float16>(array, at, values);
  store_as<double>(array, at, values);
}

template <class Half, class T, int width>
CR_INLINE void refresh(const void* array, std::int64_t at, Values<T, width>& p) {
  Values<float, width> seen;
  load_as<Half>(array, at, seen);
  for (int i = 0; i < width; ++i) p.v[i] = refreshed(p.v[i], Half(seen.v[i]));
}

template <class T, int width>
CR_INLINE void load_param(const Row& row, std::int64_t at, Values<T, width>& p) {
  load(row.param_dtype, row.param, at, p);
  if (!row.half) return;
  if (is<Float16>(row.half_dtype)) {
    refresh<Float16>(row.half, at, p);
  } else {
    refresh<BFloat16>(row.half, at, p);
  }
}

template <GradientOp op, class T, int width>
CR_INLINE void apply_to(Values<T, width>& g, const Values<T, width>& p, T a, T b) {
  for (int i = 0; i < width; ++i) g.v[i] = apply<op>(g.v[i], p.v[i], a, b);
}

template <class T, int width>
CR_INLINE void run_program(const GradientStep* steps,
                           int count,
                           Values<T, width>& g,
                           const Values<T, width>& p) {
  for (const GradientStep* step = steps; step != steps + count; ++step) {
    const T a = static_cast<T>(step->a);
    const T b = static_cast<T>(step->b);
    switch (step->op) {
      case GradientOp::scale:
        apply_to<GradientOp::scale>(g, p, a, b);
        break;
      case GradientOp::weight_decay:
        apply_to<GradientOp::weight_decay>(g, p, a, b);
        break;
      case GradientOp::lasso:
        apply_to<GradientOp::lasso>(g, p, a, b);
        break;
      case GradientOp::clip:
        apply_to<GradientOp::clip>(g, p, a, b);
        break;
    }
  }
}

// Whether every array of a row begins on 16 bytes; chunks begin at multiples of kChunk.
CR_INLINE bool lies_well(const Row& row) {
  std::uintptr_t all = reinterpret_cast<std::uintptr_t>(row.param) |
                       reinterpret_cast<std::uintptr_t>(row.half) |
                       reinterpret_cast<std::uintptr_t>(row.grad);
  for (int k = 0; k < row.state_count; ++k) {
    all |= reinterpret_cast<std::uintptr_t>(row.state[k]);
  }
  return all % 16 == 0;
}

// Calls f(at, width) for the elements of a chunk that are this thread's.
template <int width, class F>
CR_INLINE void for_my_elements(const Row& row, const Chunk& chunk, const F& f) {
  const int thread = static_cast<int>(threadIdx.x);
  const int whole = lies_well(row) ? chunk.count / width * width : 0;
  for (int i = thread * width; i < whole; i += kThreads * width) {
    f(chunk.begin + i, std::integral_constant<int, width>());
  }
  for (int i = whole + thread; i < chunk.count; i += kThreads) {
    f(chunk.begin + i, std::integral_constant<int, 1>());
  }
}

// A row of which only the gradient's programs run.
struct OnlyPrograms {
  static constexpr auto states = names();
  template <class T>
  struct Coefs {
    T none;
  };
};

template <class Rule, class T, int width, std::size_t... k>
CR_INLINE void update_elements(const typename Rule::template Coefs<T>& coefs,
                               const Row& row,
                               std::int64_t at,
                               std::index_sequence<k...>) {
  Values<T, width> p;
  Values<T, width> g;
  load_param(row, at, p);
  load(row.grad_dtype, row.grad, at, g);
  if (row.shared_count + row.own_count != 0) {
    run_program(row.shared_steps, row.shared_count, g, p);
    run_program(row.own_steps, row.own_count, g, p);
    if (row.write_grad) store(row.grad_dtype, row.grad, at, g);
  }
  if constexpr (!__is_same(Rule, OnlyPrograms)) {
    Values<T, width> states[sizeof...(k) + 1];
    (load(row.state_dtype, row.state[k], at, states[k]), ...);
    for (int i = 0; i < width; ++i) Rule::step(coefs, g.v[i], p.v[i], states[k].v[i]...);
    (store(row.state_dtype, row.state[k], at, states[k]), ...);
    store(row.param_dtype, row.param, at, p);
    if (row.half) store(row.half_dtype, row.half, at, p);
  }
}

template <class Rule, class T>
__global__ void __launch_bounds__(kThreads) update_kernel(const Row* rows, const Chunk* chunks) {
  const Chunk chunk = chunks[blockIdx.x];
  const Row& row = rows[chunk.row];
  const auto coefs = load_coefs<Rule, T>(row.coefs);
  for_my_elements<kWidth<T>>(row, chunk, [&](std::int64_t at, auto width) {
    update_elements<Rule, T, decltype(width)::value>(
        coefs, row, at, std::make_index_sequence<Rule::states.count>());
  });
}

template <class T>
CR_INLINE double squares(const Row& row, const Chunk& chunk, int shared) {
  double sum = 0;
  for_my_elements<kWidth<T>>(row, chunk, [&](std::int64_t at, auto width) {
    constexpr int n = decltype(width)::value;
    Values<T, n> p{};
    Values<T, n> g;
    if (shared) load_param(row, at, p);
    load(row.grad_dtype, row.grad, at, g);
    run_program(row.shared_steps, shared, g, p);
    for (int i = 0; i < n; ++i) {
      const double x = static_cast<double>(g.v[i]);
      sum += x * x;
    }
  });
  return sum;
}

// A block sums one chunk, always in the same order.
__global__ void __launch_bounds__(kThreads)
    squares_kernel(const Row* rows, const Chunk* chunks, int shared_limit, double* partial) {
  __shared__ double sums[kThreads];
  const Chunk chunk = chunks[blockIdx.x];
  const Row& row = rows[chunk.row];
  const int shared = row.shared_count < shared_limit ? row.shared_count : shared_limit;
  const unsigned t = threadIdx.x;
  sums[t] = is<double>(row.param_dtype) ? squares<double>(row, chunk, shared)
                                        : squares<float>(row, chunk, shared);
  for (unsigned half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (t < half) sums[t] += sums[t + half];
  }
  if (t == 0) partial[blockIdx.x] = sums[0];
}

using UpdateKernel = void (*)(const Row* rows, const Chunk* chunks);

// By rule, after kNoRule; for float and for double.
template <class List>
struct Kernels;
template <class... Rules>
struct Kernels<List<Rules...>> {
  static constexpr int count = 1 + sizeof...(Rules);
  static constexpr UpdateKernel kernels[count][2] = {
      {update_kernel<OnlyPrograms, float>, update_kernel<OnlyPrograms, double>},
      {update_kernel<Rules, float>, update_kernel<Rules, double>}...};
};
using AllKernels = Kernels<Rules>;

// The rows of a batch's chunks and their programs, as the device sees them.
class Tables {
 public:
  Tables(Staging& staging, const Batch& batch) : staging_(staging), first_(batch.rows) {
    const Row* last = nullptr;
    std::int64_t steps = 0;
    for (std::int64_t c = 0; c < batch.chunk_count; ++c) {
      const Row* row = &batch.rows[batch.chunks[c].row];
      if (row == last) continue;
      last = row;
      rows_.push_back(row);
      steps += row->own_count;
      if (row->shared_count > shared_count_) shared_count_ = row->shared_count;
      if (row->shared_count) shared_ = row->shared_steps;
    }
    row_room_ = staging.room<Row>(batch.row_count);
    step_room_ = staging.room<GradientStep>(steps + shared_count_);
  }

  // Fills them in, and returns where the rows will lie, each at its place in the batch.
  const Row* write() const {
    const auto rows = staging_.table<Row>(row_room_);
    const auto steps = staging_.table<GradientStep>(step_room_);
    std::int64_t used = 0;
    const auto put = [&](const GradientStep* from, int count) {
      for (int i = 0; i < count; ++i) steps.host[used + i] = from[i];
      used += count;
      return steps.device + used - count;
    };
    const GradientStep* shared = put(shared_, shared_count_);
    for (const Row* from : rows_) {
      Row& row = rows.host[from - first_];
      row = *from;
      row.shared_steps = shared;
      row.own_steps = put(from->own_steps, from->own_count);
    }
    return rows.device;
  }

 private:
  Staging& staging_;
  const Row* first_;
  std::vector<const Row*> rows_;
  const GradientStep* shared_ = nullptr;
  int shared_count_ = 0;
  std::size_t row_room_;
  std::size_t step_room_;
};

// A batch lies on one device.
int device_of(const Batch& batch) {
  cudaPointerAttributes attributes{};
  check(cudaPointerGetAttributes(&attributes, batch.rows[batch.chunks[0].row].grad),
        "asking where a gradient lies");
  return attributes.device;
}

void run_update(const Batch& batch) {
  const int device = device_of(batch);
  const DeviceGuard guard(device);
  check(guard.error(), "choosing the device");
  Staging staging(device);
  Tables tables(staging, batch);
  const std::size_t room = staging.room<Chunk>(batch.chunk_count);
  staging.open();
  const Row* rows = tables.write();
  const auto chunks = staging.table<Chunk>(room);

  // Chunks sorted by kernel, each kernel's in the batch's order.
  const auto kernel_of = [&](const Chunk& chunk) {
    const Row& row = batch.rows[chunk.row];
    return 2 * (row.rule - kNoRule) + (is<double>(row.param_dtype) ? 1 : 0);
  };
  std::vector<std::int64_t> starts(2 * AllKernels::count + 1);
  for (std::int64_t c = 0; c < batch.chunk_count; ++c) {
    ++starts[static_cast<std::size_t>(kernel_of(batch.chunks[c]) + 1)];
  }
  for (std::size_t k = 1; k < starts.size(); ++k) starts[k] += starts[k - 1];
  std::vector<std::int64_t> next = starts;
  for (std::int64_t c = 0; c < batch.chunk_count; ++c) {
    const Chunk& chunk = batch.chunks[c];
    chunks.host[next[static_cast<std::size_t>(kernel_of(chunk))]++] = chunk;
  }
  staging.send();
  for (std::size_t k = 0; k + 1 < starts.size(); ++k) {
    const std::int64_t count = starts[k + 1] - starts[k];
    if (count) {
      launch(AllKernels::kernels[k / 2][k % 2], count, kThreads, rows, chunks.device + starts[k]);
    }
  }
}

void run_sum_squares(const Batch& batch, int shared_limit, double* partial) {
  const int device = device_of(batch);
  const DeviceGuard guard(device);
  check(guard.error(), "choosing the device");
  Staging staging(device);
  Tables tables(staging, batch);
  const std::size_t chunk_room = staging.room<Chunk>(batch.chunk_count);
  const std::size_t partial_room = staging.room<double>(batch.chunk_count);
  staging.open();
  const Row* rows = tables.write();
  const auto chunks = staging.table<Chunk>(chunk_room);
  const auto sums = staging.table<double>(partial_room);
  for (std::int64_t c = 0; c < batch.chunk_count; ++c) {
    chunks.host[c] = batch.chunks[c];
    sums.host[c] = __builtin_nan("");  // should the kernel not start
  }
  staging.send();
  launch(squares_kernel, batch.chunk_count, kThreads, rows,
         static_cast<const Chunk*>(chunks.device), shared_limit, sums.device);
  copy(partial, {}, sums.device, {DeviceKind::cuda, static_cast<std::int8_t>(device)},
       batch.chunk_count * static_cast<std::int64_t>(sizeof(double)));
}

template <class F>
bool kept(const F& f) {
  try {
    f();
    return true;
  } catch (const Failure& failure) {
    keep_failure(failure);
  } catch (const std::exception& error) {
    keep_failure({kPluginError, cat("[update] ", error.what())});
  }
  return false;
}

void update_batch(const Batch& batch, std::int64_t, std::int64_t) {
  if (batch.chunk_count) kept([&] { run_update(batch); });
}

void sum_squares(const Batch& batch,
                 std::int64_t,
                 std::int64_t,
                 int shared_limit,
                 double* partial) {
  if (!batch.chunk_count || kept([&] { run_sum_squares(batch, shared_limit, partial); })) return;
  for (std::int64_t c = 0; c < batch.chunk_count; ++c) partial[c] = __builtin_nan("");
}

}  // namespace

void register_update(KernelRegistrar add) {
  add("update", 0, reinterpret_cast<void*>(update_batch));
  add("update_sum_squares", 0, reinterpret_cast<void*>(sum_squares));
}

}  // namespace chainrule::cuda
