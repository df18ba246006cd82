#include <vector>

#include "chainrule/update/rule_list.h"
#include "kernels.h"
#include "loop.cuh"
#include "traced_kernels.h"
#include "update_kernel.cuh"
#include "update_reduced.h"
#include "update_tables.h"

// The traversal over many tensors: one launch per rule, however many tensors and values it has;
// a block works on one chunk of one row.
namespace chainrule::cuda {
namespace {

using namespace update;
using functors::List;

template <class Rule, class T, bool observed>
__global__ void __launch_bounds__(kThreads) update_kernel(const Row* rows,
                                                          const Chunk* chunks,
                                                          const std::int32_t* order,
                                                          double* statistics) {
  update_block<Rule, T, observed>(rows, chunks, order, statistics);
}

template <class Rule, class T, int width, std::size_t... k>
CR_INLINE void measure_elements(const typename Rule::template Coefs<T>& coefs,
                                const Row& row,
                                std::int64_t at,
                                double (&sums)[kMaxSums],
                                std::index_sequence<k...>) {
  Values<T, width> p;
  Values<T, width> g;
  load_param(row, at, p);
  load(row.grad_dtype, row.grad, at, g);
  run_programs(row, g, p);
  Values<T, width> states[sizeof...(k) + 1];
  (load(row.state_dtype, row.state[k], at, states[k]), ...);
  for (int i = 0; i < width; ++i) {
    const auto added = Rule::measure(coefs, g.v[i], p.v[i], states[k].v[i]...);
    for (int j = 0; j < Rule::sums; ++j) sums[j] += static_cast<double>(added.addend[j]);
  }
  (store(row.state_dtype, row.state[k], at, states[k]), ...);
}

template <class Rule, class T>
__global__ void __launch_bounds__(kThreads)
    measure_kernel(const Row* rows, const Chunk* chunks, const std::int32_t* order, double* sums) {
  const std::int32_t place = order[blockIdx.x];
  const Chunk chunk = chunks[place];
  const Row& row = rows[chunk.row];
  const auto coefs = load_coefs<Rule, T>(row.coefs);
  double mine[kMaxSums] = {};
  for_my_elements<kWidth<T>>(row, chunk, [&](std::int64_t at, auto width) {
    measure_elements<Rule, T, decltype(width)::value>(
        coefs, row, at, mine, std::make_index_sequence<Rule::states.count>());
  });
  write_sums(mine, sums + std::int64_t{place} * kMaxSums);
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

__global__ void __launch_bounds__(kThreads)
    squares_kernel(const Row* rows, const Chunk* chunks, int shared_limit, double* partial) {
  const Chunk chunk = chunks[blockIdx.x];
  const Row& row = rows[chunk.row];
  const int shared = row.shared_count < shared_limit ? row.shared_count : shared_limit;
  double sum[1] = {is<double>(row.param_dtype) ? squares<double>(row, chunk, shared)
                                               : squares<float>(row, chunk, shared)};
  join_block(sum, [](int, double a, double b) { return a + b; });
  if (threadIdx.x == 0) partial[blockIdx.x] = sum[0];
}

template <class Rule, class T>
constexpr RuleKernels kernels_of() {
  // Double is not worth two.
  RuleKernels kernels{{update_kernel<Rule, T, __is_same(T, double)>, update_kernel<Rule, T, true>},
                      nullptr};
  if constexpr (count_sums<Rule>() > 0) kernels.measure = measure_kernel<Rule, T>;
  return kernels;
}

// By rule, after kNoRule, users' rules last; for float and for double.
template <class List>
struct Kernels;
template <class... Rules>
struct Kernels<List<Rules...>> {
  static constexpr int count = 2 + sizeof...(Rules);
  static constexpr RuleKernels of[count][2] = {
      {kernels_of<OnlyPrograms, float>(), kernels_of<OnlyPrograms, double>()},
      {kernels_of<Rules, float>(), kernels_of<Rules, double>()}...,
      {kernels_of<Traced, float>(), kernels_of<Traced, double>()}};
};
using AllKernels = Kernels<Rules>;

// A batch lies on one device.
int device_of(const Batch& batch) {
  cudaPointerAttributes attributes{};
  check(cudaPointerGetAttributes(&attributes, batch.rows[batch.chunks[0].row].grad),
        "asking where a gradient lies");
  return attributes.device;
}

// What one launch does: all chunks of one rule and type, observed or not, reduced or not.
constexpr int kLaunches = 8 * AllKernels::count;

int launch_of(const Row& row) {
  const int place = row.rule == kTracedRule ? AllKernels::count - 1 : row.rule - kNoRule;
  return 8 * place + (is_reduced(row) ? 4 : 0) + (is<double>(row.param_dtype) ? 2 : 0) +
         (row.observed ? 1 : 0);
}

RuleKernels kernels_of_launch(std::size_t launch) {
  const std::size_t place = launch / 8;
  const std::size_t wide = launch / 2 % 2;
  if (launch / 4 % 2 == 0) return AllKernels::of[place][wide];
  const bool traced = place == AllKernels::count - 1;
  const int rule = traced ? kTracedRule : static_cast<int>(place) + kNoRule;
  return reduced_kernels(static_cast<std::int16_t>(rule), wide != 0);
}

// The launches of one batch: those above, then a user's rule each that was compiled.
class Launches {
 public:
  // For the device that is current.
  explicit Launches(int device) : device_(device) {}

  int of(const Row& row) {
    // Rows that keep less than they compute are not what the generated kernel is for.
    if (row.rule != kTracedRule || is_reduced(row)) return launch_of(row);
    const bool is_double = is<double>(row.param_dtype);
    for (const Traced& known : traced_) {
      if (known.program == row.traced && known.is_double == is_double &&
          known.observed == row.observed) {
        return known.launch;
      }
    }
    const UpdateKernel kernel = traced_kernel(*row.traced, is_double, row.observed, device_);
    if (kernel) compiled_.push_back(kernel);
    const int launch = kernel ? count() - 1 : launch_of(row);
    traced_.push_back({row.traced, is_double, row.observed, launch});
    return launch;
  }
  int count() const { return kLaunches + static_cast<int>(compiled_.size()); }
  // Null for those above.
  UpdateKernel compiled(std::size_t launch) const {
    return launch < kLaunches ? nullptr : compiled_[launch - kLaunches];
  }

 private:
  struct Traced {
    const TracedProgram* program;
    bool is_double;
    bool observed;
    int launch;
  };

  int device_;
  std::vector<Traced> traced_;
  std::vector<UpdateKernel> compiled_;
};

// Sends a batch over and calls start(kernels, launch, chunk count, rows, chunks, order, out) for
// each launch that `wanted` rows need; `width` numbers per chunk come back in `out`, if any.
template <class Wanted, class Start>
void run_batch(const Batch& batch,
               int width,
               double* out,
               const Wanted& wanted,
               const Start& start) {
  const int device = device_of(batch);
  const DeviceGuard guard(device);
  check(guard.error(), "choosing the device");
  Launches launches(device);
  std::vector<int> launch_at(static_cast<std::size_t>(batch.chunk_count), -1);  // of each chunk
  for (std::int64_t c = 0; c < batch.chunk_count; ++c) {
    const Row& row = batch.rows[batch.chunks[c].row];
    if (wanted(row)) launch_at[static_cast<std::size_t>(c)] = launches.of(row);
  }
  Staging staging(device);
  Tables tables(staging, batch);
  const std::size_t chunk_room = staging.room<Chunk>(batch.chunk_count);
  const std::size_t order_room = staging.room<std::int32_t>(batch.chunk_count);
  const std::int64_t out_count = out ? batch.chunk_count * width : 0;
  const std::size_t out_room = staging.room<double>(out_count);
  staging.open();
  const Row* rows = tables.write();
  const auto chunks = staging.table<Chunk>(chunk_room);
  const auto order = staging.table<std::int32_t>(order_room);
  const auto results = staging.table<double>(out_room);
  for (std::int64_t i = 0; i < out_count; ++i) results.host[i] = out[i];

  // Chunks sorted by launch, each launch's in the batch's order.
  std::vector<std::int64_t> starts(static_cast<std::size_t>(launches.count() + 1));
  for (std::int64_t c = 0; c < batch.chunk_count; ++c) {
    chunks.host[c] = batch.chunks[c];
    const int k = launch_at[static_cast<std::size_t>(c)];
    if (k >= 0) ++starts[static_cast<std::size_t>(k + 1)];
  }
  for (std::size_t k = 1; k < starts.size(); ++k) starts[k] += starts[k - 1];
  std::vector<std::int64_t> next = starts;
  for (std::int64_t c = 0; c < batch.chunk_count; ++c) {
    const int k = launch_at[static_cast<std::size_t>(c)];
    if (k >= 0) order.host[next[static_cast<std::size_t>(k)]++] = static_cast<std::int32_t>(c);
  }
  staging.send();
  for (std::size_t k = 0; k + 1 < starts.size(); ++k) {
    const std::int64_t count = starts[k + 1] - starts[k];
    if (!count) continue;
    UpdateKernel kernel = launches.compiled(k);
    if (!kernel) kernel = start(kernels_of_launch(k), k % 2 != 0);
    launch(kernel, count, kThreads, rows, static_cast<const Chunk*>(chunks.device),
           static_cast<const std::int32_t*>(order.device + starts[k]), results.device);
  }
  if (out_count) {
    copy(out, {}, results.device, {DeviceKind::cuda, static_cast<std::int8_t>(device)},
         out_count * static_cast<std::int64_t>(sizeof(double)));
  }
}

void run_update(const Batch& batch) {
  run_batch(
      batch, kStatistics, batch.statistics, [](const Row& row) { return !row.skip; },
      [](const RuleKernels& kernels, bool observed) { return kernels.update[observed]; });
}

void run_measure(const Batch& batch, double* sums) {
  run_batch(
      batch, kMaxSums, sums, [](const Row& row) { return row.sums > 0 && !row.skip; },
      [](const RuleKernels& kernels, bool) { return kernels.measure; });
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

void measure(const Batch& batch, std::int64_t, std::int64_t, double* sums) {
  if (batch.chunk_count) kept([&] { run_measure(batch, sums); });
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
  add("update_measure", 0, reinterpret_cast<void*>(measure));
  add("update_sum_squares", 0, reinterpret_cast<void*>(sum_squares));
}

}  // namespace chainrule::cuda
