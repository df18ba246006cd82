#include "chainrule/backend/reduction_plan.h"
#include "chainrule/core/dtype.h"
#include "chainrule/functors/reduction.h"
#include "kernels.h"
#include "loop.cuh"

// Sums, maxima, minima; see the CPU's reduction.cpp. A block works on a few outputs at a time, with
// as many threads for each as there are elements for. Floats are summed in double; elements are
// combined in an order that depends on the plan alone.
namespace chainrule::cuda {
namespace {

using namespace functors;

// As many as keep the largest devices busy.
constexpr std::int64_t kManyBlocks = 1024;

// How a block's threads are shared out.
struct Shares {
  std::int64_t units;  // chunks times outputs
  std::int32_t lanes;  // threads of an output: a power of two, up to kThreads
  bool side_by_side;   // neighbouring threads belong to neighbouring outputs, not to one
};

// Where an index leads in some dimensions.
CR_INLINE std::int64_t offset_of(std::int64_t index,
                                 int ndim,
                                 const std::int64_t* shape,
                                 const std::int64_t* strides) {
  std::int64_t offset = 0;
  for (int d = ndim - 1; d > 0; --d) {
    offset += index % shape[d] * strides[d];
    index /= shape[d];
  }
  return offset + index * strides[0];
}

// Every lanes-th element of a chunk from `lane` on.
template <class Op, class T, class W>
CR_INLINE W reduce_lane(const ReductionPlan& plan, std::int64_t unit, int lane, int lanes) {
  const Op op;
  const std::int64_t first = unit / plan.outputs * plan.chunk_size;
  const std::int64_t last =
      plan.count - first < plan.chunk_size ? plan.count : first + plan.chunk_size;
  const char* x =
      plan.x + offset_of(unit % plan.outputs, plan.kept_ndim, plan.kept_shape, plan.kept_strides);
  const auto value = [](const char* at) {
    return static_cast<W>(to_compute<T>(*reinterpret_cast<const Stored<T>*>(at)));
  };
  W total = Op::template identity<W>();
  std::int64_t i = first + lane;
  if (plan.reduced_ndim == 1) {
    const std::int64_t stride = plan.reduced_strides[0];
    // Several are on their way at a time.
    for (; i + 3 * lanes < last; i += 4 * lanes) {
      const W a = value(x + i * stride);
      const W b = value(x + (i + lanes) * stride);
      const W c = value(x + (i + 2 * lanes) * stride);
      const W d = value(x + (i + 3 * lanes) * stride);
      total = op(total, op(op(a, b), op(c, d)));
    }
    for (; i < last; i += lanes) total = op(total, value(x + i * stride));
  } else {
    for (; i < last; i += lanes) {
      total =
          op(total,
             value(x + offset_of(i, plan.reduced_ndim, plan.reduced_shape, plan.reduced_strides)));
    }
  }
  return total;
}

template <class Op, class T, class W>
CR_INLINE void finish(const ReductionPlan& plan, std::int64_t unit, W total) {
  if (plan.wide || !math::Real<W>) {
    reinterpret_cast<W*>(plan.y)[unit] = total;
    return;
  }
  if constexpr (Op::widens) total = static_cast<W>(total / plan.divisor);
  reinterpret_cast<Stored<T>*>(plan.y)[unit] = to_stored<T>(static_cast<Compute<T>>(total));
}

template <class Op, class T>
__global__ void __launch_bounds__(kThreads) reduce_kernel(ReductionPlan plan, Shares shares) {
  using W = Wide<Op, T>;
  __shared__ W parts[kThreads];
  const int thread = static_cast<int>(threadIdx.x);
  const int outputs = kThreads / shares.lanes;
  const int output = shares.side_by_side ? thread % outputs : thread / shares.lanes;
  const int lane = shares.side_by_side ? thread / outputs : thread % shares.lanes;
  const int place = output * shares.lanes + lane;
  const std::int64_t unit = std::int64_t{blockIdx.x} * outputs + output;
  if (unit < shares.units) parts[place] = reduce_lane<Op, T, W>(plan, unit, lane, shares.lanes);
  const Op op;
  for (int half = shares.lanes / 2; half > 0; half /= 2) {
    __syncthreads();
    if (lane < half && unit < shares.units) parts[place] = op(parts[place], parts[place + half]);
  }
  if (lane == 0 && unit < shares.units) finish<Op, T>(plan, unit, parts[place]);
}

Shares shares_of(const ReductionPlan& plan) {
  const auto distance = [](std::int64_t stride) { return stride < 0 ? -stride : stride; };
  const int kept = plan.kept_ndim - 1;
  const int reduced = plan.reduced_ndim - 1;
  Shares shares{plan.chunks * plan.outputs, 1, false};
  shares.side_by_side = plan.kept_shape[kept] > 1 &&
                        distance(plan.kept_strides[kept]) < distance(plan.reduced_strides[reduced]);
  // Outputs that lie side by side are read a warp's width at a time, or less if there are few.
  const auto enough = [&] {
    if (!shares.side_by_side) return shares.lanes == kThreads;
    const bool many = shares.units * shares.lanes >= kManyBlocks * kThreads;
    return shares.lanes >= (many ? kThreads / 32 : kThreads / 8);
  };
  while (!enough() && shares.lanes * 8 < plan.chunk_size) shares.lanes *= 2;
  return shares;
}

// The plan holds no range: all units, or none.
template <class Op, class T>
void reduce(const ReductionPlan& plan, std::int64_t, std::int64_t) {
  const DeviceGuard guard(plan.device);
  keep_launch_error(guard.error());
  const Shares shares = shares_of(plan);
  const int outputs = kThreads / shares.lanes;
  launch(reduce_kernel<Op, T>, (shares.units + outputs - 1) / outputs, kThreads, plan, shares);
}

}  // namespace

void register_reduction(KernelRegistrar add) {
  for_each_reduction([&]<class Op, class T>() {
    add(Op::name, static_cast<int>(dtype_of<T>), reinterpret_cast<void*>(reduce<Op, T>));
  });
}

}  // namespace chainrule::cuda
