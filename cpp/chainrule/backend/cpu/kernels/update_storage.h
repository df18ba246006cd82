#pragma once

#include "chainrule/backend/cpu/kernels/random_words.h"
#include "chainrule/backend/cpu/kernels/update_loops.h"
#include "chainrule/core/dtype.h"
#include "chainrule/update/reduced.h"

// Blocks of elements from and to what is stored: any floating dtype, reduced states, masters.
namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {
namespace update_storage {

namespace math = functors::math;
using functors::Compute;
using functors::kPhiloxGroup;
using update::kDrawGroup;
using update::kStateBlock;
using update::Row;
using update_loops::for_lanes;
using update_loops::kLanes;

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
      for (std::int64_t i = 0; i < n; ++i) p[i] = update::refreshed(p[i], h[i]);
    }
  });
}

template <class T>
constexpr bool is(std::uint8_t dtype) {
  return dtype == static_cast<std::uint8_t>(dtype_of<T>);
}

// Calls f(i, draw) for the n elements of the array in `slot` from `at` on, which is a multiple of
// kDrawGroup.
template <class F>
CR_INLINE void for_draws(const Row& row, int slot, std::int64_t at, std::int64_t n, const F& f) {
  alignas(64) std::uint32_t words[kPhiloxGroup];
  for (std::int64_t i = 0; i < n; i += kDrawGroup) {
    random_words<update::kDrawRounds>(static_cast<std::uint64_t>(at + i) / kDrawGroup,
                                      update::stream_of(row, slot), words);
    for (std::int64_t half = 0; half < 2; ++half) {
      const std::int64_t from = i + half * kPhiloxGroup;
      const std::int64_t rest = n - from < kPhiloxGroup ? n - from : kPhiloxGroup;
#pragma GCC ivdep
      for (std::int64_t k = 0; k < rest; ++k) f(from + k, words[k] >> half * 16 & 0xffff);
    }
  }
}

// Stored with random bits from the array's own stream.
template <class Half, class T>
void store_stochastically(const Row& row,
                          int slot,
                          Half* out,
                          std::int64_t at,
                          const T* x,
                          std::int64_t n) {
  for_draws(row, slot, at, n,
            [&](std::int64_t i, std::uint32_t draw) __attribute__((always_inline)) {
              out[at + i] = update::rounded_stochastically<Half>(static_cast<float>(x[i]), draw);
            });
}

// 8-bit states; `at` is a multiple of kStateBlock.
template <bool square, class T>
void decode(const std::int8_t* codes, const float* scales, T* out, std::int64_t n) {
  for (std::int64_t i = 0; i < n; i += kStateBlock) {
    const T scale = static_cast<T>(*scales++);
    const std::int64_t end = n - i < kStateBlock ? n : i + kStateBlock;
#pragma GCC ivdep
    for (std::int64_t k = i; k < end; ++k) out[k] = update::decoded<square>(codes[k], scale);
  }
}

// NaN or infinity where one of them is.
template <class T>
float largest_of(const T* x, std::int64_t n) {
  std::uint32_t largest = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const std::uint32_t size = update::size_bits(x[i]);
    largest = size > largest ? size : largest;
  }
  return update::sized(largest);
}

template <bool square, class T>
void encode(const Row& row, int slot, std::int64_t at, const T* x, std::int64_t n) {
  std::int8_t* codes = static_cast<std::int8_t*>(row.state[slot]) + at;
  for (std::int64_t i = 0; i < n; i += kStateBlock) {
    const std::int64_t count = n - i < kStateBlock ? n - i : kStateBlock;
    float& scale = row.scale[slot][(at + i) / kStateBlock];
    scale = update::scale_of(largest_of(x + i, count), scale);
    const T inverse = update::inverse_of<T>(scale);
    for_draws(row, slot, at + i, count,
              [&](std::int64_t k, std::uint32_t draw) __attribute__((always_inline)) {
                codes[i + k] = update::encoded<square>(x[i + k], inverse, draw);
              });
  }
}

template <class T>
void decode_block(const Row& row, int slot, std::int64_t at, T* out, std::int64_t n) {
  const auto* codes = static_cast<const std::int8_t*>(row.state[slot]) + at;
  const float* scales = row.scale[slot] + at / kStateBlock;
  if (row.squares >> slot & 1) {
    decode<true>(codes, scales, out, n);
  } else {
    decode<false>(codes, scales, out, n);
  }
}

template <class T>
void encode_block(const Row& row, int slot, std::int64_t at, const T* x, std::int64_t n) {
  if (row.squares >> slot & 1) {
    encode<true>(row, slot, at, x, n);
  } else {
    encode<false>(row, slot, at, x, n);
  }
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

}  // namespace update_storage
}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
