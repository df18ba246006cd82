#include "chainrule/backend/cpu/update.h"

#include <algorithm>

#include "chainrule/backend/kernel.h"
#include "chainrule/backend/parallel.h"

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace chainrule {
namespace {

using update::Batch;

Kernel<update::UpdateFunction> update_kernel{"update"};
Kernel<update::MeasureFunction> measure_kernel{"update_measure"};
Kernel<update::SumSquaresFunction> sum_squares_kernel{"update_sum_squares"};

// Elements per thread below which a second one does not pay.
constexpr std::int64_t kGrain = 16384;

// States decay towards zero for ever; arithmetic on denormal numbers is ten times slower.
class FlushDenormals {
 public:
#if defined(__SSE2__)
  FlushDenormals() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | kFlushToZero | kInputsAreZero); }
  ~FlushDenormals() { _mm_setcsr(saved_); }

 private:
  static constexpr unsigned kFlushToZero = 0x8000;
  static constexpr unsigned kInputsAreZero = 0x0040;
  unsigned saved_;
#elif defined(__aarch64__)
  FlushDenormals() {
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    asm volatile("msr fpcr, %0" : : "r"(saved_ | (std::uint64_t{1} << 24)));
  }
  ~FlushDenormals() { asm volatile("msr fpcr, %0" : : "r"(saved_)); }

 private:
  std::uint64_t saved_;
#else
  FlushDenormals() {}
#endif
};

// Calls f(first, last) on ranges of chunks of about equal work.
template <class F>
void share(const Batch& batch, const F& f) {
  const std::int64_t* starts = batch.starts;
  const std::int64_t* end = starts + batch.chunk_count;
  parallel_for(*end, kGrain, [&](std::int64_t from, std::int64_t to) {
    const std::int64_t first = std::lower_bound(starts, end, from) - starts;
    const std::int64_t last = std::lower_bound(starts, end, to) - starts;
    const FlushDenormals flush;
    f(first, last);
  });
}

}  // namespace

void run_update(Device device, const Batch& batch) {
  if (batch.chunk_count == 0) return;
  const auto function = update_kernel.get(device);
  if (device.kind != DeviceKind::cpu) return function(batch, 0, batch.chunk_count);
  share(batch, [&](std::int64_t first, std::int64_t last) { function(batch, first, last); });
}

void run_measure(Device device, const Batch& batch, double* sums) {
  if (batch.chunk_count == 0) return;
  const auto function = measure_kernel.get(device);
  if (device.kind != DeviceKind::cpu) return function(batch, 0, batch.chunk_count, sums);
  share(batch, [&](std::int64_t first, std::int64_t last) { function(batch, first, last, sums); });
}

double sum_squares(Device device, const Batch& batch, int shared_limit, double* partial) {
  if (batch.chunk_count == 0) return 0;
  const auto function = sum_squares_kernel.get(device);
  if (device.kind != DeviceKind::cpu) {
    function(batch, 0, batch.chunk_count, shared_limit, partial);
  } else {
    share(batch, [&](std::int64_t first, std::int64_t last) {
      function(batch, first, last, shared_limit, partial);
    });
  }
  double sum = 0;
  for (std::int64_t i = 0; i < batch.chunk_count; ++i) sum += partial[i];
  return sum;
}

}  // namespace chainrule
