#pragma once

#include <utility>

#include "../runtime.h"
#include "loop.h"
#include "pack.cuh"

// The kernels under every elementwise call: one for operands that lie flat, which moves 16
// bytes at a time, and one for any strides.
namespace chainrule::cuda {

template <class... Params, class... Args>
void launch(void (*kernel)(Params...), std::int64_t blocks, int threads, const Args&... args) {
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(blocks));
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.stream = stream();
  keep_launch_error(cudaLaunchKernelEx(&config, kernel, args...));
}

template <class Out, int width, class F, class... Packs>
CR_INLINE void map_pack(char* out, std::uint32_t index, const F& f, const Packs&... inputs) {
  Pack<Out, width> result;
  for (int i = 0; i < width; ++i) result.values[i] = to_stored<Out>(f(inputs[i]...));
  result.store(out, index);
}

template <int width, class F, class Out, class... In, std::size_t... k>
CR_INLINE void map_thread(const VectorRange& range,
                          std::uint32_t thread,
                          const F& f,
                          std::index_sequence<k...>) {
  const std::uint32_t packs = range.size / width;
  if (thread < packs) {
    map_pack<Out, width>(range.data[0], thread, f,
                         Pack<In, width>(range.data[k + 1], range.repeated[k + 1], thread)...);
    return;
  }
  const std::uint32_t i = packs * width + (thread - packs);  // what is left over
  if (i < range.size) {
    map_pack<Out, 1>(range.data[0], i, f,
                     Pack<In, 1>(range.data[k + 1], range.repeated[k + 1], i)...);
  }
}

template <int width, class F, class Out, class... In>
__global__ void __launch_bounds__(kThreads) vector_kernel(VectorRange range, F f) {
  map_thread<width, F, Out, In...>(range, blockIdx.x * kThreads + threadIdx.x, f,
                                   std::make_index_sequence<sizeof...(In)>());
}

template <class F, class Out, class... In, std::size_t... k>
CR_INLINE void map_element(const StridedRange& range,
                           std::uint32_t i,
                           const F& f,
                           std::index_sequence<k...>) {
  constexpr int operands = 1 + static_cast<int>(sizeof...(In));
  std::int64_t offset[operands] = {};
  for (int d = range.ndim - 1; d > 0; --d) {
    const std::uint32_t quotient = range.shape[d].quotient(i);
    const std::uint32_t index = i - quotient * range.shape[d].divisor;
    for (int n = 0; n < operands; ++n) offset[n] += index * range.strides[n][d];
    i = quotient;
  }
  for (int n = 0; n < operands; ++n) offset[n] += i * range.strides[n][0];
  map_pack<Out, 1>(range.data[0] + offset[0], 0, f,
                   Pack<In, 1>(range.data[k + 1] + offset[k + 1], false, 0)...);
}

template <class F, class Out, class... In>
__global__ void __launch_bounds__(kThreads) strided_kernel(StridedRange range, F f) {
  const std::uint32_t i = range.begin + blockIdx.x * kThreads + threadIdx.x;
  if (i < range.end) {
    map_element<F, Out, In...>(range, i, f, std::make_index_sequence<sizeof...(In)>());
  }
}

enum class Paths { both, strided_only };

// out[i] = f(in[i]...) for elements begin..end of the plan. Where speed is of no concern, one
// kernel instead of two halves the time to compile.
template <Paths paths, class Out, class... In, class F>
void map(const ElementwisePlan& plan, std::int64_t begin, std::int64_t end, const F& f) {
  const DeviceGuard guard(plan.device);
  keep_launch_error(guard.error());
  const auto run = [](void* context, const ElementwisePlan& piece, std::int64_t from,
                      std::int64_t to) {
    const F& function = *static_cast<const F*>(context);
    if constexpr (paths == Paths::both) {
      constexpr int sizes[] = {sizeof(Out), sizeof(In)...};
      constexpr int width = [&] {
        int widest = 1;
        for (int size : sizes) widest = size > widest ? size : widest;
        return 16 / widest;
      }();
      VectorRange range;
      if (make_vector_range(piece, from, to, sizes, width, range)) {
        const std::int64_t threads = range.size / width + range.size % width;
        launch(vector_kernel<width, F, Out, In...>, (threads + kThreads - 1) / kThreads, kThreads,
               range, function);
        return;
      }
    }
    launch(strided_kernel<F, Out, In...>, (to - from + kThreads - 1) / kThreads, kThreads,
           make_strided_range(piece, from, to), function);
  };
  for_each_piece(plan, begin, end, kMaxPiece, run, const_cast<F*>(&f));
}

}  // namespace chainrule::cuda
