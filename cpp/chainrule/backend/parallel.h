#pragma once

#include <cstdint>
#include <type_traits>

#include "chainrule/core/api.h"

namespace chainrule {

// Threads used by kernels; the default honours OMP_NUM_THREADS.
CHAINRULE_API void set_num_threads(int count);
CHAINRULE_API int num_threads();

using RangeFunction = void (*)(void* context, std::int64_t begin, std::int64_t end);
CHAINRULE_API void parallel_for_raw(std::int64_t count,
                                    std::int64_t grain,
                                    RangeFunction function,
                                    void* context);

// Calls f(begin, end) on disjoint ranges that cover 0..count; a range starts at a multiple of
// `grain`, and work of one grain or less runs on the calling thread.
template <class F>
void parallel_for(std::int64_t count, std::int64_t grain, F&& f) {
  parallel_for_raw(
      count, grain,
      [](void* context, std::int64_t begin, std::int64_t end) {
        (*static_cast<std::remove_reference_t<F>*>(context))(begin, end);
      },
      &f);
}

}  // namespace chainrule
