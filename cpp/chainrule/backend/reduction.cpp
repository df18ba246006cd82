#include "chainrule/backend/reduction.h"

#include <algorithm>
#include <cstdlib>

#include "chainrule/backend/elementwise.h"
#include "chainrule/backend/launch.h"

namespace chainrule {
namespace {

// Elements that are worth a thread of their own.
constexpr std::int64_t kGrain = 32768;
// An output is cut into chunks of at least this size, whatever the number of threads, so that
// its bits do not depend on it.
constexpr std::int64_t kChunk = 65536;
constexpr std::int64_t kMaxChunks = 64;
// Other devices want many pieces of work at a time, whose number is fixed for the same reason.
constexpr std::int64_t kDeviceChunk = 8192;
constexpr std::int64_t kDevicePieces = 1024;

struct Dim {
  std::int64_t length;
  std::int64_t stride;
};

// Joins neighbours that step as one; an empty list becomes one dimension of length one.
int coalesce(const Dim* dims, int count, std::int64_t* shape, std::int64_t* strides) {
  int n = 0;
  for (int i = 0; i < count; ++i) {
    if (n > 0 && strides[n - 1] == dims[i].stride * dims[i].length) {
      shape[n - 1] *= dims[i].length;
      strides[n - 1] = dims[i].stride;
    } else {
      shape[n] = dims[i].length;
      strides[n++] = dims[i].stride;
    }
  }
  if (n == 0) {
    shape[0] = 1;
    strides[0] = 0;
    n = 1;
  }
  return n;
}

// `ordered`: the reduced elements keep their order.
ReductionPlan make_plan(const Array& x, const Axes& axes, bool ordered) {
  ReductionPlan plan;
  plan.device = x.device().index;
  plan.x = reinterpret_cast<const char*>(x.raw());
  plan.outputs = 1;
  plan.count = 1;
  Dim kept[kMaxDims];
  Dim reduced[kMaxDims];
  int kept_count = 0;
  int reduced_count = 0;
  for (int i = 0, k = 0; i < x.ndim(); ++i) {
    Dim dim = {x.shape()[i], x.strides()[i]};
    const bool is_reduced = k < axes.size() && axes[k] == i;
    k += is_reduced;
    (is_reduced ? plan.count : plan.outputs) *= dim.length;
    if (dim.length == 1) continue;
    if (!is_reduced) {
      kept[kept_count++] = dim;
      continue;
    }
    if (!ordered && dim.stride < 0 && dim.length > 0) {  // walk upwards
      plan.x += (dim.length - 1) * dim.stride;
      dim.stride = -dim.stride;
    }
    reduced[reduced_count++] = dim;
  }
  if (!ordered) {
    std::stable_sort(reduced, reduced + reduced_count,
                     [](const Dim& a, const Dim& b) { return a.stride > b.stride; });
  }
  plan.kept_ndim = coalesce(kept, kept_count, plan.kept_shape, plan.kept_strides);
  plan.reduced_ndim = coalesce(reduced, reduced_count, plan.reduced_shape, plan.reduced_strides);
  plan.chunks = 1;
  plan.chunk_size = plan.count;
  return plan;
}

// How many chunks the elements of an output are worth.
std::int64_t chunks_of(const ReductionPlan& plan, Device device) {
  const std::int64_t total = plan.outputs * plan.count;
  if (device.kind != DeviceKind::cpu) {
    if (plan.outputs == 0) return 1;
    return std::min({total / kDeviceChunk, kDevicePieces / plan.outputs, plan.count / 64});
  }
  const bool columns =
      std::abs(plan.kept_strides[plan.kept_ndim - 1]) < plan.reduced_strides[plan.reduced_ndim - 1];
  if (total < 2 * kChunk || plan.outputs >= (columns ? 4096 : kMaxChunks)) return 1;
  return std::min({total / kChunk, kMaxChunks, plan.count / 64});
}

// Few outputs of many elements are cut into chunks.
void cut(ReductionPlan& plan, Device device) {
  const std::int64_t chunks = chunks_of(plan, device);
  if (chunks < 2) return;
  plan.chunk_size = (plan.count + chunks - 1) / chunks;
  plan.chunks = (plan.count + plan.chunk_size - 1) / plan.chunk_size;
}

void run(ReductionKernel::Function function, const ReductionPlan& plan, Device device) {
  const std::int64_t work = std::max<std::int64_t>(plan.chunk_size, 1);
  // Outputs that lie side by side share cache lines, so threads get sixteen at least.
  std::int64_t grain = std::max<std::int64_t>(1, kGrain / work);
  if (plan.chunks == 1) grain = (grain + 15) / 16 * 16;
  launch(device, plan.chunks * plan.outputs, grain,
         [&](std::int64_t begin, std::int64_t end) { function(plan, begin, end); });
}

}  // namespace

void run_reduction(const ReductionKernel& kernel,
                   const Array& out,
                   const Array& x,
                   const Axes& axes,
                   const ReductionOptions& options) {
  if (out.size() == 0) return;
  const Device device = common_device(kernel.name(), {&out, &x});
  const ReductionKernel::Function function = kernel.get(device, x.dtype());
  ReductionPlan plan = make_plan(x, axes, false);
  cut(plan, device);
  if (plan.chunks == 1) {
    plan.y = reinterpret_cast<char*>(out.raw());
    plan.divisor = options.divisor;
    plan.wide = false;
    run(function, plan, device);
    return;
  }
  const Array partial({plan.chunks, plan.outputs}, options.wide, device);
  plan.y = reinterpret_cast<char*>(partial.raw());
  plan.divisor = 1.0;
  plan.wide = true;
  run(function, plan, device);
  if (options.wide == out.dtype()) {
    run_reduction(kernel, out, partial, {0}, options);
  } else {
    const Array result(out.shape(), options.wide, device);
    run_reduction(kernel, result, partial, {0}, options);
    copy_into(out, result);
  }
}

void run_find(const ReductionKernel& kernel, const Array& out, const Array& x, int axis) {
  if (out.size() == 0) return;
  const Device device = common_device(kernel.name(), {&out, &x});
  ReductionPlan plan = make_plan(x, {axis}, true);
  plan.y = reinterpret_cast<char*>(out.raw());
  run(kernel.get(device, x.dtype()), plan, device);
}

}  // namespace chainrule
