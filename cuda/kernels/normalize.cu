#include "chainrule/backend/normalize_plan.h"
#include "chainrule/core/dtype.h"
#include "chainrule/functors/instances.h"
#include "kernels.h"
#include "loop.cuh"
#include "update_block.cuh"

// Arrays divided by their norms, which stay on the device: squares of segments are summed first,
// then each block adds up what belongs to its array.
namespace chainrule::cuda {
namespace {

constexpr std::int64_t kSegment = 8192;

struct Segments {
  std::int64_t size;  // of an array
  std::int64_t per_array;
};

template <class Body>
CR_INLINE void for_my_segment(const Segments& segments, const Body& body) {
  const std::int64_t array = blockIdx.x / segments.per_array;
  const std::int64_t first = blockIdx.x % segments.per_array * kSegment;
  const std::int64_t last = first + kSegment < segments.size ? first + kSegment : segments.size;
  const std::int64_t begin = array * segments.size;
  for (std::int64_t i = first + threadIdx.x; i < last; i += kThreads) body(begin + i);
}

// Thread 0's result.
__device__ inline double sum_of_block(double mine) {
  double sum[1] = {mine};
  join_block(sum, [](int, double a, double b) { return a + b; });
  return sum[0];
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    sum_kernel(const Stored<T>* x, Segments segments, double* partial) {
  double mine = 0;
  for_my_segment(segments, [&](std::int64_t i) {
    const auto value = static_cast<double>(x[i]);
    mine += value * value;
  });
  const double sum = sum_of_block(mine);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

template <class T, class Out>
__global__ void __launch_bounds__(kThreads) divide_kernel(const Stored<T>* x,
                                                          Stored<Out>* y,
                                                          Segments segments,
                                                          double eps,
                                                          const double* partial) {
  const double* parts = partial + blockIdx.x / segments.per_array * segments.per_array;
  double mine = 0;
  for (std::int64_t k = threadIdx.x; k < segments.per_array; k += kThreads) mine += parts[k];
  const double sum = sum_of_block(mine);
  __shared__ double factor;
  if (threadIdx.x == 0) {
    const double norm = functors::math::sqrt(sum);
    factor = 1 / (norm < eps ? eps : norm);
  }
  __syncthreads();
  const auto scale = static_cast<Compute<T>>(factor);
  for_my_segment(segments,
                 [&](std::int64_t i) { y[i] = to_stored<Out>(scale * to_compute<T>(x[i])); });
}

template <class T, class Out>
void run(const NormalizePlan& plan) {
  const DeviceGuard guard(plan.device);
  check(guard.error(), "choosing the device");
  const Segments segments{plan.size, (plan.size + kSegment - 1) / kSegment};
  const std::int64_t blocks = plan.count * segments.per_array;
  auto* partial = static_cast<double*>(
      allocate(plan.device, blocks * static_cast<std::int64_t>(sizeof(double))));
  const auto* x = static_cast<const Stored<T>*>(plan.x);
  launch(sum_kernel<T>, blocks, kThreads, x, segments, partial);
  launch(divide_kernel<T, Out>, blocks, kThreads, x, static_cast<Stored<Out>*>(plan.y), segments,
         plan.eps, static_cast<const double*>(partial));
  release(plan.device, partial);
}

template <class T>
void normalize(const NormalizePlan& plan) {
  try {
    functors::for_each_type(functors::Floating{}, [&]<class Out>() {
      if (plan.y_dtype == static_cast<std::uint8_t>(dtype_of<Out>)) run<T, Out>(plan);
    });
  } catch (const Failure& failure) {
    keep_failure(failure);
  }
}

}  // namespace

void register_normalize(KernelRegistrar add) {
  functors::for_each_type(functors::Types<float, double>{}, [&]<class T>() {
    add("normalize", static_cast<int>(dtype_of<T>), reinterpret_cast<void*>(normalize<T>));
  });
}

}  // namespace chainrule::cuda
