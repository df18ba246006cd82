#include "chainrule/backend/parallel.h"

#include <omp.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>

#include "chainrule/core/error.h"

namespace chainrule {
namespace {

std::atomic<int> thread_count{0};

// A forked child has none of the pool's threads, and libgomp would wait for them for ever.
void after_fork_in_child() { thread_count.store(1, std::memory_order_relaxed); }

int initial_count() {
  pthread_atfork(nullptr, nullptr, after_fork_in_child);
  return std::max(1, omp_get_max_threads());
}

}  // namespace

int num_threads() {
  int count = thread_count.load(std::memory_order_relaxed);
  if (count == 0) {
    static const int initial = initial_count();
    count = initial;
    thread_count.store(count, std::memory_order_relaxed);
  }
  return count;
}

void set_num_threads(int count) {
  if (count < 1 || count > 4096) {
    throw ValueError(cat("[set_num_threads] got ", count, ", expected 1 to 4096"));
  }
  num_threads();
  thread_count.store(count, std::memory_order_relaxed);
  omp_set_num_threads(count);
}

void parallel_for_raw(std::int64_t count,
                      std::int64_t grain,
                      RangeFunction function,
                      void* context) {
  if (count <= grain || num_threads() == 1 || omp_in_parallel()) {
    if (count > 0) function(context, 0, count);
    return;
  }
  const std::int64_t grains = (count + grain - 1) / grain;
  const int threads = static_cast<int>(std::min<std::int64_t>(grains, num_threads()));
#pragma omp parallel num_threads(threads)
  {
    const std::int64_t team = omp_get_num_threads();
    const std::int64_t rank = omp_get_thread_num();
    const std::int64_t begin = grains * rank / team * grain;
    const std::int64_t end = std::min(count, grains * (rank + 1) / team * grain);
    if (begin < end) function(context, begin, end);
  }
}

}  // namespace chainrule
