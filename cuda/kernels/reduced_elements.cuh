#pragma once

#include "chainrule/update/reduced.h"
#include "update_block.cuh"

// What a thread does with elements that are kept in fewer bits than they are computed in.
namespace chainrule::cuda {

using functors::kPhiloxCounters;
using functors::kPhiloxGroup;
using update::kStateBlock;

// A thread works on four elements at a time, sixteen places apart: theirs are the four words of
// one counter of random bits. Neighbouring threads have neighbouring elements.
inline constexpr int kFour = 4;
inline constexpr int kSpan = kFour * kThreads;

struct Places {
  std::int64_t first;
  int count;  // of the four, those that there are

  // Those of this thread among the kSpan elements from `begin` on.
  CR_INLINE Places(const Chunk& chunk, int begin) {
    const int thread = static_cast<int>(threadIdx.x);
    const int at = begin + thread / kPhiloxCounters * kPhiloxGroup + thread % kPhiloxCounters;
    const int left = chunk.count - at;
    first = chunk.begin + at;
    count = left <= 0 ? 0 : (left - 1) / kPhiloxCounters + 1;
    if (count > kFour) count = kFour;
  }
  CR_INLINE std::int64_t operator[](int i) const { return first + i * kPhiloxCounters; }
};

template <class T>
using Four = Values<T, kFour>;

// Written out, so that the values stay in registers whatever the compiler thinks of the body.
template <class F>
CR_INLINE void for_each_place(const Places& places, const F& f) {
  if (places.count > 0) f(0);
  if (places.count > 1) f(1);
  if (places.count > 2) f(2);
  if (places.count > 3) f(3);
}

template <class S, class T>
CR_INLINE void load_as(const void* array, const Places& places, Four<T>& out) {
  const Stored<S>* x = static_cast<const Stored<S>*>(array);
  for (int i = 0; i < kFour; ++i) {
    out.v[i] = i < places.count ? static_cast<T>(to_compute<S>(x[places[i]])) : T(0);
  }
}

template <class S, class T>
CR_INLINE void store_as(void* array, const Places& places, const Four<T>& values) {
  Stored<S>* x = static_cast<Stored<S>*>(array);
  for (int i = 0; i < kFour; ++i) {
    if (i < places.count) x[places[i]] = to_stored<S>(static_cast<Compute<S>>(values.v[i]));
  }
}

// Draws from the array's own stream.
struct Draws {
  std::uint32_t of[kFour];
  CR_INLINE Draws(const Row& row, int slot, const Places& places) {
    const auto first = static_cast<std::uint64_t>(places.first);
    functors::philox_column<update::kDrawRounds>(update::word_position(first),
                                                 update::stream_of(row, slot), of);
    for (std::uint32_t& draw : of) draw = draw >> update::draw_shift(first) & 0xffff;
  }
};

template <class Half, class T>
CR_INLINE void store_stochastically(const Row& row,
                                    int slot,
                                    void* array,
                                    const Places& places,
                                    const Four<T>& values) {
  const Draws draws(row, slot, places);
  Half* out = static_cast<Half*>(array);
  for_each_place(places, [&](int i) {
    out[places[i]] =
        update::rounded_stochastically<Half>(static_cast<float>(values.v[i]), draws.of[i]);
  });
}

// Parameters.

template <class T>
CR_INLINE void load_param(const Row& row, const Places& places, Four<T>& p) {
  load(row.param_dtype, row.param, places, p);
  if (!row.half) return;
  Four<float> seen;
  load(row.half_dtype, row.half, places, seen);
  for (int i = 0; i < kFour; ++i) {
    p.v[i] = is<Float16>(row.half_dtype) ? update::refreshed(p.v[i], Float16(seen.v[i]))
                                         : update::refreshed(p.v[i], BFloat16(seen.v[i]));
  }
}

template <class T>
CR_INLINE void store_param(const Row& row, const Places& places, const Four<T>& p) {
  if (row.stochastic && is<BFloat16>(row.param_dtype)) {
    store_stochastically<BFloat16>(row, -1, row.param, places, p);
  } else if (row.stochastic && is<Float16>(row.param_dtype)) {
    store_stochastically<Float16>(row, -1, row.param, places, p);
  } else {
    store(row.param_dtype, row.param, places, p);
  }
  if (row.half) store(row.half_dtype, row.half, places, p);
}

// 8-bit states.

template <class T>
CR_INLINE void decode(const Row& row, int slot, const Places& places, Four<T>& out, float& scale) {
  scale = places.count ? row.scale[slot][places.first / kStateBlock] : 0.0f;
  const std::int8_t* codes = static_cast<const std::int8_t*>(row.state[slot]);
  const bool square = row.squares >> slot & 1;
  for (int i = 0; i < kFour; ++i) {
    const std::int8_t code = i < places.count ? codes[places[i]] : std::int8_t{0};
    out.v[i] = square ? update::decoded<true>(code, static_cast<T>(scale))
                      : update::decoded<false>(code, static_cast<T>(scale));
  }
}

// `scale`: the group's until now; `largest`: its largest element.
template <class T>
CR_INLINE void encode(const Row& row,
                      int slot,
                      const Places& places,
                      const Four<T>& values,
                      float scale,
                      float largest) {
  scale = update::scale_of(largest, scale);
  const T inverse = update::inverse_of<T>(scale);
  const Draws draws(row, slot, places);
  std::int8_t* codes = static_cast<std::int8_t*>(row.state[slot]);
  const bool square = row.squares >> slot & 1;
  for_each_place(places, [&](int i) {
    codes[places[i]] = square ? update::encoded<true>(values.v[i], inverse, draws.of[i])
                              : update::encoded<false>(values.v[i], inverse, draws.of[i]);
  });
  if (places.count && places.first % kStateBlock == 0) {
    row.scale[slot][places.first / kStateBlock] = scale;
  }
}

}  // namespace chainrule::cuda
