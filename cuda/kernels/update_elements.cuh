#pragma once

#include <utility>

#include "chainrule/core/dtype.h"
#include "chainrule/update/element.h"
#include "pack.cuh"

// What a thread does with its elements of a row: loads, gradient programs, stores.
namespace chainrule::cuda {

using update::Chunk;
using update::GradientOp;
using update::GradientStep;
using update::Row;

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

// `at`: the first of neighbours, or any other way to say where a thread's elements are.
template <class At, class V>
CR_INLINE void load(std::uint8_t dtype, const void* array, const At& at, V& out) {
  if (is<float>(dtype)) return load_as<float>(array, at, out);
  if (is<BFloat16>(dtype)) return load_as<BFloat16>(array, at, out);
  if (is<Float16>(dtype)) return load_as<Float16>(array, at, out);
  load_as<double>(array, at, out);
}

template <class At, class V>
CR_INLINE void store(std::uint8_t dtype, void* array, const At& at, const V& values) {
  if (is<float>(dtype)) return store_as<float>(array, at, values);
  if (is<BFloat16>(dtype)) return store_as<BFloat16>(array, at, values);
  if (is<Float16>(dtype)) return store_as<Float16>(array, at, values);
  store_as<double>(array, at, values);
}

template <class Half, class T, int width>
CR_INLINE void refresh(const void* array, std::int64_t at, Values<T, width>& p) {
  Values<float, width> seen;
  load_as<Half>(array, at, seen);
  for (int i = 0; i < width; ++i) p.v[i] = update::refreshed(p.v[i], Half(seen.v[i]));
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
  for (int i = 0; i < width; ++i) g.v[i] = update::apply<op>(g.v[i], p.v[i], a, b);
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

}  // namespace chainrule::cuda
