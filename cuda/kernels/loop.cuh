#pragma once

#include <utility>

#include "../runtime.h"
#include "loop.h"
#include "pack.cuh"

// The kernel under every elementwise call, for packs of 16 bytes and for single elements.
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
CR_INLINE void map_pack(char* out, const F& f, const Packs&... inputs) {
  Pack<Out, width> result;
  for (int i = 0; i < width; ++i) result.values[i] = to_stored<Out>(f(inputs[i]...));
  result.store(out, 0);
}

template <int width, class F, class Out, class... In, std::size_t... k>
CR_INLINE void map_thread(const Range& range,
                          std::uint32_t pack,
                          const F& f,
                          std::index_sequence<k...>) {
  constexpr int operands = 1 + static_cast<int>(sizeof...(In));
  std::int64_t offset[operands] = {};
  if (pack < range.end) {
    std::uint32_t i = pack;
    for (int d = range.ndim - 1; d > 0; --d) {
      const std::uint32_t quotient = range.shape[d].quotient(i);
      const std::uint32_t index = i - quotient * range.shape[d].divisor;
      for (int n = 0; n < operands; ++n) offset[n] += index * range.strides[n][d];
      i = quotient;
    }
    for (int n = 0; n < operands; ++n) offset[n] += i * range.strides[n][0];
    map_pack<Out, width>(
        range.data[0] + offset[0], f,
        Pack<In, width>(range.data[k + 1] + offset[k + 1], range.repeated[k + 1], 0)...);
  } else if (pack - range.end < range.rest) {
    const std::uint32_t i = range.end * width + (pack - range.end);
    for (int n = 0; n < operands; ++n) offset[n] = i * (range.strides[n][0] / width);
    map_pack<Out, 1>(range.data[0] + offset[0], f,
                     Pack<In, 1>(range.data[k + 1] + offset[k + 1], false, 0)...);
  }
}

template <int width, class F, class Out, class... In>
__global__ void __launch_bounds__(kThreads) map_kernel(Range range, F f) {
  map_thread<width, F, Out, In...>(range, range.begin + blockIdx.x * kThreads + threadIdx.x, f,
                                   std::make_index_sequence<sizeof...(In)>());
}

enum class Paths { both, one_by_one };

// out[i] = f(in[i]...) for elements begin..end of the plan, by packs of 16 bytes where neighbours
// lie side by side. Where speed is of no concern, one kernel instead of two halves the time to
// compile.
template <Paths paths, class Out, class... In, class F>
void map(const ElementwisePlan& plan, std::int64_t begin, std::int64_t end, const F& f) {
  const DeviceGuard guard(plan.device);
  keep_launch_error(guard.error());
  const auto run = [](void* context, const ElementwisePlan& piece, std::int64_t from,
                      std::int64_t to) {
    const F& function = *static_cast<const F*>(context);
    constexpr int sizes[] = {sizeof(Out), sizeof(In)...};
    constexpr int width = [&] {
      int widest = 1;
      for (int size : sizes) widest = size > widest ? size : widest;
      return 16 / widest;
    }();
    Range range{};
    const auto start = [&](void (*kernel)(Range, F)) {
      const std::int64_t threads = std::int64_t{range.end - range.begin} + range.rest;
      launch(kernel, (threads + kThreads - 1) / kThreads, kThreads, range, function);
    };
    if constexpr (paths == Paths::both) {
      if (make_range(piece, from, to, sizes, width, range)) {
        return start(map_kernel<width, F, Out, In...>);
      }
    }
    make_range(piece, from, to, sizes, 1, range);
    start(map_kernel<1, F, Out, In...>);
  };
  for_each_piece(plan, begin, end, kMaxPiece, run, const_cast<F*>(&f));
}

}  // namespace chainrule::cuda
