#pragma once

#include <cuda_runtime.h>

#include "chainrule/functors/convert.h"

// How kernels move elements: up to 16 bytes at a time.
namespace chainrule::cuda {

using functors::Compute;

inline constexpr int kThreads = 256;

// How an element lies in memory.
template <class T>
struct StoredType {
  using type = T;
};
template <>
struct StoredType<bool> {
  using type = std::uint8_t;
};
template <class T>
using Stored = typename StoredType<T>::type;

template <class T>
CR_INLINE Compute<T> to_compute(Stored<T> stored) {
  if constexpr (__is_same(T, bool)) {
    return stored != 0;
  } else {
    return static_cast<Compute<T>>(stored);
  }
}
template <class T, class V>
CR_INLINE Stored<T> to_stored(V value) {
  return static_cast<Stored<T>>(static_cast<T>(value));
}

// What one access moves.
template <int bytes>
struct Word {};
template <>
struct Word<1> {
  using type = unsigned char;
};
template <>
struct Word<2> {
  using type = unsigned short;
};
template <>
struct Word<4> {
  using type = unsigned int;
};
template <>
struct Word<8> {
  using type = uint2;
};
template <>
struct Word<16> {
  using type = uint4;
};

// Neighbouring elements, in registers.
template <class T, int width>
struct Pack {
  using Whole = typename Word<width* static_cast<int>(sizeof(T))>::type;
  Stored<T> values[width];

  Pack() = default;
  CR_INLINE Pack(const char* data, bool repeated, std::uint32_t index) {
    if (repeated) {
      const Stored<T> value = *reinterpret_cast<const Stored<T>*>(data);
      for (int i = 0; i < width; ++i) values[i] = value;
    } else {
      const Whole whole = reinterpret_cast<const Whole*>(data)[index];
      __builtin_memcpy(values, &whole, sizeof(values));
    }
  }
  CR_INLINE void store(char* data, std::uint32_t index) const {
    Whole whole;
    __builtin_memcpy(&whole, values, sizeof(values));
    reinterpret_cast<Whole*>(data)[index] = whole;
  }
  CR_INLINE Compute<T> operator[](int i) const { return to_compute<T>(values[i]); }
};

}  // namespace chainrule::cuda
