#pragma once

#include "chainrule/functors/philox.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

// Philox's groups with the vector unit's own multiplication, 32 bits by 32 to 64, which compilers
// do not find in a loop: a counter in each lane of 64 bits, of which the lower half counts.
namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {

#if defined(__SSE2__)
namespace random_words_detail {

#if defined(__AVX512F__)
inline constexpr int kBytes = 64;
#elif defined(__AVX2__)
inline constexpr int kBytes = 32;
#else
inline constexpr int kBytes = 16;
#endif
inline constexpr int kWide = kBytes / 8;

using Wide __attribute__((vector_size(kBytes))) = unsigned long long;

// Products of the lanes' lower halves.
CR_INLINE Wide product(Wide a, Wide b) {
#if defined(__AVX512F__)
  // Without a mask, GCC 12 warns of its own header.
  return (Wide)_mm512_maskz_mul_epu32(0xff, (__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return (Wide)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#else
  return (Wide)_mm_mul_epu32((__m128i)a, (__m128i)b);
#endif
}

#if defined(__AVX512F__)
inline constexpr Wide kLane{0, 1, 2, 3, 4, 5, 6, 7};
#elif defined(__AVX2__)
inline constexpr Wide kLane{0, 1, 2, 3};
#else
inline constexpr Wide kLane{0, 1};
#endif

CR_INLINE Wide all(std::uint64_t x) { return x - Wide{}; }

struct Counters {
  Wide c[4];
  CR_INLINE void round(functors::PhiloxKey key) {
    const Wide p0 = product(c[0], all(0xD2511F53u));
    const Wide p1 = product(c[2], all(0xCD9E8D57u));
    c[0] = p1 >> 32 ^ c[1] ^ all(key.low);
    c[1] = p1;
    c[2] = p0 >> 32 ^ c[3] ^ all(key.high);
    c[3] = p0;
  }
};

}  // namespace random_words_detail
#endif

// What philox_group gives.
template <int rounds>
CR_INLINE void random_words(std::uint64_t group, functors::PhiloxKey key, std::uint32_t* words) {
#if defined(__SSE2__)
  using namespace random_words_detail;
  for (int j = 0; j < functors::kPhiloxCounters; j += 2 * kWide) {
    const std::uint64_t counter = group * functors::kPhiloxCounters + static_cast<std::uint64_t>(j);
    Counters even{{all(counter) + 2 * kLane, all(counter >> 32)}};
    Counters odd{{even.c[0] + 1, even.c[1]}};
    functors::PhiloxKey now = key;
    for (int round = 0; round < rounds; ++round) {
      even.round(now);
      odd.round(now);
      now.low += 0x9E3779B9u;
      now.high += 0xBB67AE85u;
    }
    for (int w = 0; w < 4; ++w) {
      const Wide both = (even.c[w] & 0xffffffffu) | odd.c[w] << 32;
      __builtin_memcpy(words + w * functors::kPhiloxCounters + j, &both, sizeof(both));
    }
  }
#else
  functors::philox_group<rounds>(group, key, words);
#endif
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
