#include "chainrule/backend/cpu/gemm.h"

#include <dnnl.h>
#include <omp.h>

#include <algorithm>
#include <cstring>

#include "chainrule/backend/blas_matrix.h"
#include "chainrule/backend/cpu/gemm_bfloat16.h"
#include "chainrule/backend/cpu/gemm_parts.h"
#include "chainrule/backend/kernel.h"
#include "chainrule/backend/matrix.h"
#include "chainrule/backend/parallel.h"
#include "chainrule/core/memory.h"

// Chooses how a product is computed: tiny ones in plain loops, float32 by oneDNN, the rest by
// our own kernels; and splits it, or the batch, among threads.
namespace chainrule::cpu {
namespace {

Kernel<void(const GemmPlan&)> tiny_kernel("gemm.tiny");
Kernel<void(const GemmPlan&, std::int64_t, std::int64_t)> thin_kernel("gemm.thin");
Kernel<void(const GemmPlan&, std::int64_t, std::int64_t, std::int64_t, std::int64_t, void*)>
    packed_kernel("gemm.packed");
Kernel<GemmBlocking()> blocking_kernel("gemm.blocking");

// In multiply-adds, measured: up to the first a plain loop is quickest, up to the second our own
// kernel (calling oneDNN takes 0.2 microseconds).
constexpr std::int64_t kTiny = 256;
constexpr std::int64_t kSmall = 1024;
// A thread writes whole cache lines of a thin product.
constexpr std::int64_t kThinGrain = 64;
constexpr std::int64_t kThinRows = 3;

std::int64_t work(const GemmPlan& plan) { return plan.c.rows * plan.c.cols * plan.a.cols; }

// Writes the bias to every row of c, on which the product is then added.
void put_bias(const GemmPlan& plan) {
  const std::size_t bytes = static_cast<std::size_t>(plan.c.cols) * sizeof(float);
  const auto row = [&](const Matrix& x, std::int64_t i) {
    return x.data + i * x.row_stride * static_cast<std::int64_t>(sizeof(float));
  };
  const std::int64_t grain = std::max<std::int64_t>(1, kSerial / 8 / plan.c.cols);
  parallel_for(plan.c.rows, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) std::memcpy(row(plan.c, i), plan.bias.data, bytes);
  });
}

// The product by oneDNN; false where it cannot be asked for it.
bool library_sgemm(const GemmPlan& plan, int threads = num_threads()) {
  const BlasMatrix a = blas_matrix(plan.a);
  const BlasMatrix b = blas_matrix(plan.b);
  const BlasMatrix c = blas_matrix(plan.c);
  if (a.leading == 0 || b.leading == 0 || c.leading == 0) return false;
  if (c.transposed == 'T') return library_sgemm(transposed(plan), threads);
  float beta = static_cast<float>(plan.beta);
  if (plan.bias.data) {
    if (beta != 0 || plan.bias.row_stride != 0 || plan.bias.col_stride != 1) return false;
    put_bias(plan);
    beta = 1;
  }
  // The number of threads is a thread's own in OpenMP, one of the library's in ours.
  if (omp_get_max_threads() != threads) omp_set_num_threads(threads);
  return dnnl_sgemm(a.transposed, b.transposed, plan.c.rows, plan.c.cols, plan.a.cols,
                    static_cast<float>(plan.alpha), reinterpret_cast<const float*>(plan.a.data),
                    a.leading, reinterpret_cast<const float*>(plan.b.data), b.leading, beta,
                    reinterpret_cast<float*>(plan.c.data), c.leading) == dnnl_success;
}

void thin(const GemmPlan& plan, Dtype dtype) {
  const auto kernel = thin_kernel.get({}, dtype);
  const std::int64_t columns = kSerial / (plan.c.rows * plan.a.cols) / kThinGrain * kThinGrain;
  parallel_for(plan.c.cols, std::max(kThinGrain, columns),
               [&](std::int64_t begin, std::int64_t end) { kernel(plan, begin, end); });
}

// How many parts the rows and columns of c are cut into, and how large they are.
struct Grid {
  std::int64_t rows;
  std::int64_t cols;
  std::int64_t part_rows;
  std::int64_t part_cols;
};

Grid choose_grid(const GemmPlan& plan, const GemmBlocking& blocking, std::int64_t threads) {
  const auto part = [](std::int64_t size, std::int64_t tile, std::int64_t parts) {
    const std::int64_t tiles = (size + tile - 1) / tile;
    return (tiles + parts - 1) / parts * tile;
  };
  Grid best{};
  std::int64_t least = -1;
  for (std::int64_t rows = 1; rows <= threads; ++rows) {
    const std::int64_t cols = threads / rows;
    Grid grid{rows, cols, part(plan.c.rows, blocking.tile_rows, rows),
              part(plan.c.cols, blocking.tile_cols, cols)};
    grid.rows = (plan.c.rows + grid.part_rows - 1) / grid.part_rows;
    grid.cols = (plan.c.cols + grid.part_cols - 1) / grid.part_cols;
    // Packing an element costs about as much as eight multiply-adds.
    const std::int64_t cost =
        grid.part_rows * grid.part_cols + 8 * (grid.part_rows + grid.part_cols);
    if (least >= 0 && cost >= least) continue;
    least = cost;
    best = grid;
  }
  return best;
}

// `scratch` is the calling thread's own where it is one of many; null where it may use them all.
void packed(const GemmPlan& plan, Dtype dtype, void* scratch) {
  const auto kernel = packed_kernel.get({}, dtype);
  const GemmBlocking blocking = blocking_kernel.get({}, dtype)();
  if (scratch) return kernel(plan, 0, plan.c.rows, 0, plan.c.cols, scratch);
  const bool serial = work(plan) <= kSerial || omp_in_parallel();
  const Grid grid = choose_grid(plan, blocking, serial ? 1 : num_threads());
  const Scratch parts(grid.rows * grid.cols * blocking.scratch_bytes);
  parallel_for(grid.rows * grid.cols, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t row = i / grid.cols * grid.part_rows;
      const std::int64_t col = i % grid.cols * grid.part_cols;
      kernel(plan, row, std::min(plan.c.rows, row + grid.part_rows), col,
             std::min(plan.c.cols, col + grid.part_cols), parts.at(i * blocking.scratch_bytes));
    }
  });
}

void multiply(const GemmPlan& plan, Dtype dtype, void* scratch = nullptr) {
  const std::int64_t size = work(plan);
  if (size <= kTiny) return tiny_kernel.get({}, dtype)(plan);
  const int threads = plan.reproducible ? 1 : num_threads();
  if (dtype == Dtype::float32 && size > kSmall && library_sgemm(plan, threads)) return;
  const bool swap = plan.c.cols <= kThinRows && plan.c.rows > kThinRows;
  if (swap || (plan.c.col_stride != 1 && plan.c.row_stride == 1 && plan.c.rows > kThinRows)) {
    const GemmPlan other = transposed(plan);
    return swap ? thin(other, dtype) : packed(other, dtype, scratch);
  }
  plan.c.rows <= kThinRows ? thin(plan, dtype) : packed(plan, dtype, scratch);
}

// Products begin..end of a batch.
void multiply_each(const GemmPlan& batch,
                   Dtype dtype,
                   std::int64_t begin,
                   std::int64_t end,
                   void* scratch) {
  for (std::int64_t i = begin; i < end; ++i) multiply(product_of(batch, dtype, i), dtype, scratch);
}

template <Dtype D>
void gemm(const GemmPlan& plan) {
  std::int64_t count = 1;
  for (int i = 0; i < plan.batch_ndim; ++i) count *= plan.batch_shape[i];
  // oneDNN's own threads may share a sum.
  if (D == Dtype::float32 && plan.reproducible) {
    constexpr std::int64_t kPartCols = 768;
    return for_parts(plan, D, count, kPartCols,
                     [] { return [](const GemmPlan& part) { multiply(part, D); }; });
  }
  if (plan.batch_ndim == 0) return multiply(plan, D);
  // Few large products: threads share one at a time.
  const std::int64_t each = std::max<std::int64_t>(1, work(plan));
  const int threads = omp_in_parallel() ? 1 : num_threads();
  if (threads > 1 && count < 4 * threads && each > kSerial) {
    return multiply_each(plan, D, 0, count, nullptr);
  }
  const std::int64_t bytes = blocking_kernel.get({}, D)().scratch_bytes;
  const Scratch scratch(threads * bytes);
  parallel_for(count, std::max<std::int64_t>(1, kSerial / each),
               [&](std::int64_t begin, std::int64_t end) {
                 const int thread = threads > 1 ? omp_get_thread_num() : 0;
                 multiply_each(plan, D, begin, end, scratch.at(thread * bytes));
               });
}

template <Dtype... Ds>
void add_all(KernelRegistrar add) {
  (add("gemm", static_cast<int>(Ds), reinterpret_cast<void*>(gemm<Ds>)), ...);
}

}  // namespace

void add_gemm(KernelRegistrar add) {
  add_all<Dtype::int32, Dtype::int64, Dtype::float32, Dtype::float64>(add);
  add_gemm_bfloat16(add);
}

std::string onednn_version() {
  const dnnl_version_t* version = dnnl_version();
  return std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
         std::to_string(version->patch);
}

}  // namespace chainrule::cpu
