#pragma once

#include <cstdint>

#include "chainrule/functors/host_device.h"

// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers, as easy as 1, 2, 3; SC
// 2011): a counter-based generator. The numbers of a stream are a pure function of key and
// position, so that every device and any number of threads see the same ones.
namespace chainrule::functors {
inline namespace CHAINRULE_ISA {

struct PhiloxKey {
  std::uint32_t low;
  std::uint32_t high;
};

inline constexpr int kPhiloxRounds = 10;

// One counter's four words, in place.
template <int rounds = kPhiloxRounds>
CR_INLINE void philox4x32(std::uint32_t& c0,
                          std::uint32_t& c1,
                          std::uint32_t& c2,
                          std::uint32_t& c3,
                          PhiloxKey key) {
  for (int round = 0; round < rounds; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c0;
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c2;
    c0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ key.low;
    c1 = static_cast<std::uint32_t>(p1);
    c2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ key.high;
    c3 = static_cast<std::uint32_t>(p0);
    key.low += 0x9E3779B9u;
    key.high += 0xBB67AE85u;
  }
}

// Positions are grouped by 64, which take 16 counters: position i is word i / 16 % 4 of counter
// i / 64 * 16 + i % 16. Sixteen neighbours are one word each of sixteen counters, which is what
// a vector unit computes at once.
inline constexpr int kPhiloxGroup = 64;
inline constexpr int kPhiloxCounters = 16;

template <int rounds = kPhiloxRounds>
CR_INLINE void philox_group(std::uint64_t group, PhiloxKey key, std::uint32_t* words) {
  std::uint32_t c[4][kPhiloxCounters];
  for (int j = 0; j < kPhiloxCounters; ++j) {
    const std::uint64_t counter = group * kPhiloxCounters + static_cast<std::uint64_t>(j);
    c[0][j] = static_cast<std::uint32_t>(counter);
    c[1][j] = static_cast<std::uint32_t>(counter >> 32);
    c[2][j] = 0;
    c[3][j] = 0;
  }
  for (int j = 0; j < kPhiloxCounters; ++j) {
    philox4x32<rounds>(c[0][j], c[1][j], c[2][j], c[3][j], key);
  }
  for (int w = 0; w < 4; ++w) {
    for (int j = 0; j < kPhiloxCounters; ++j) words[w * kPhiloxCounters + j] = c[w][j];
  }
}

// The four words of the counter that `position` takes: those of the positions 0, 16, 32 and 48
// after the one in the first quarter of its group.
template <int rounds = kPhiloxRounds>
CR_INLINE void philox_column(std::uint64_t position, PhiloxKey key, std::uint32_t (&words)[4]) {
  const std::uint64_t counter =
      position / kPhiloxGroup * kPhiloxCounters + position % kPhiloxCounters;
  words[0] = static_cast<std::uint32_t>(counter);
  words[1] = static_cast<std::uint32_t>(counter >> 32);
  words[2] = 0;
  words[3] = 0;
  philox4x32<rounds>(words[0], words[1], words[2], words[3], key);
}

// The number at one position.
CR_INLINE std::uint32_t philox_at(std::uint64_t position, PhiloxKey key) {
  std::uint32_t words[4];
  philox_column(position, key, words);
  return words[position / kPhiloxCounters % 4];
}

// Dropout's factor: 0 with probability `ratio`, 1 / (1 - ratio) otherwise.
struct Dropout {
  PhiloxKey key;
  double threshold;
  double scale;
  CR_INLINE explicit Dropout(const double* params)
      : key{static_cast<std::uint32_t>(params[0]), static_cast<std::uint32_t>(params[1])},
        threshold(params[2] * 4294967296.0),
        scale(1.0 / (1.0 - params[2])) {}
  static constexpr char name[] = "dropout";
  template <class T>
  CR_INLINE T forward(T x, std::uint32_t word) const {
    return static_cast<double>(word) < threshold ? T(0) : x * T(scale);
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::functors
