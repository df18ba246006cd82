#include "chainrule/functors/reduction.h"
#include "chainrule/backend/cpu/kernels/kernels.h"
#include "chainrule/backend/cpu/kernels/loop.h"
#include "chainrule/backend/reduction_plan.h"
#include "chainrule/core/dtype.h"

// Sums, maxima, minima. Elements are combined in a fixed number of lanes and in blocks of a
// fixed length, whatever the vector width and the number of threads: the bits of a result
// depend on shape and strides alone. Block results are collected in double where the
// reduction widens, so that the error does not grow with the number of elements.
namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {
namespace {

using namespace functors;

constexpr std::int64_t kLanes = 32;
constexpr std::int64_t kFewLanes = 8;
constexpr std::int64_t kBlock = 1024;   // elements of a run between two additions in double
constexpr std::int64_t kColumns = 512;  // columns whose accumulators stay in the first cache
constexpr std::int64_t kRows = 32;      // rows added up between two additions in double

// One block of one output.
template <class Op, class T>
CR_INLINE auto reduce_block(const char* x, std::int64_t stride, std::int64_t n) {
  using P = Part<T>;
  constexpr std::int64_t size = sizeof(T);
  const Op op;
  P lanes[kLanes];
  std::int64_t i = 0;
  if (stride == size && n >= kLanes) {
    for (std::int64_t j = 0; j < kLanes; ++j) lanes[j] = static_cast<P>(load<T>(x + j * size));
    for (i = kLanes; i + kLanes <= n; i += kLanes) {
      for (std::int64_t j = 0; j < kLanes; ++j) {
        lanes[j] = op(lanes[j], static_cast<P>(load<T>(x + (i + j) * size)));
      }
    }
    for (std::int64_t width = kLanes / 2; width >= kFewLanes; width /= 2) {
      for (std::int64_t j = 0; j < width; ++j) lanes[j] = op(lanes[j], lanes[j + width]);
    }
  } else {
    for (std::int64_t j = 0; j < kFewLanes; ++j) lanes[j] = Op::template identity<P>();
  }
  for (; i + kFewLanes <= n; i += kFewLanes) {
    for (std::int64_t j = 0; j < kFewLanes; ++j) {
      lanes[j] = op(lanes[j], static_cast<P>(load<T>(x + (i + j) * stride)));
    }
  }
  for (std::int64_t j = 0; i < n; ++i, ++j) {
    lanes[j] = op(lanes[j], static_cast<P>(load<T>(x + i * stride)));
  }
  for (std::int64_t width = kFewLanes / 2; width >= 1; width /= 2) {
    for (std::int64_t j = 0; j < width; ++j) lanes[j] = op(lanes[j], lanes[j + width]);
  }
  return lanes[0];
}

// Calls body(pointer, n) for each innermost run of the reduced elements first..last.
template <class Body>
CR_INLINE void walk_reduced(const ReductionPlan& plan,
                            const char* x,
                            std::int64_t first,
                            std::int64_t last,
                            const Body& body) {
  if (first >= last) return;
  const int inner = plan.reduced_ndim - 1;
  if (inner == 0) {
    body(x + first * plan.reduced_strides[0], last - first);
    return;
  }
  std::int64_t index[ReductionPlan::kMaxDims];
  std::int64_t rest = first;
  for (int d = inner; d >= 0; --d) {
    index[d] = rest % plan.reduced_shape[d];
    rest /= plan.reduced_shape[d];
  }
  for (std::int64_t at = first; at < last;) {
    const char* p = x;
    for (int d = 0; d <= inner; ++d) p += index[d] * plan.reduced_strides[d];
    std::int64_t n = plan.reduced_shape[inner] - index[inner];
    if (n > last - at) n = last - at;
    body(p, n);
    at += n;
    index[inner] = 0;
    for (int d = inner - 1; d >= 0 && ++index[d] == plan.reduced_shape[d]; --d) index[d] = 0;
  }
}

template <class Op, class T, class W>
CR_INLINE void finish(const ReductionPlan& plan, std::int64_t output, W total) {
  constexpr std::int64_t wide_size = sizeof(W);
  if (plan.wide || !math::Real<W>) {
    store<W>(plan.y + output * wide_size, total);
    return;
  }
  if constexpr (Op::widens) total = static_cast<W>(total / plan.divisor);
  constexpr std::int64_t size = sizeof(T);
  store<T>(plan.y + output * size, static_cast<Compute<T>>(total));
}

template <class Op, class T>
CR_INLINE void reduce_row(const ReductionPlan& plan,
                          const char* x,
                          std::int64_t output,
                          std::int64_t first,
                          std::int64_t last) {
  using W = Wide<Op, T>;
  const Op op;
  const std::int64_t stride = plan.reduced_strides[plan.reduced_ndim - 1];
  W total = Op::template identity<W>();
  walk_reduced(
      plan, x, first, last, [&](const char* p, std::int64_t n) __attribute__((always_inline)) {
        for (std::int64_t i = 0; i < n; i += kBlock) {
          const std::int64_t m = n - i < kBlock ? n - i : kBlock;
          total = op(total, static_cast<W>(reduce_block<Op, T>(p + i * stride, stride, m)));
        }
      });
  finish<Op, T>(plan, output, total);
}

// acc[j] = op(acc[j], the elements of 1 or 4 rows); four rows halve the traffic on acc.
template <class Op, class T, int Rows, class P>
CR_INLINE void add_rows(P* acc,
                        const char* p,
                        std::int64_t row_stride,
                        std::int64_t stride,
                        std::int64_t width) {
  const Op op;
  constexpr std::int64_t size = sizeof(T);
  const auto one = [&](std::int64_t j, std::int64_t step) __attribute__((always_inline)) {
    const char* at = p + j * step;
    const P a = static_cast<P>(load<T>(at));
    if constexpr (Rows == 1) {
      acc[j] = op(acc[j], a);
    } else {
      const P b = static_cast<P>(load<T>(at + row_stride));
      const P c = static_cast<P>(load<T>(at + 2 * row_stride));
      const P d = static_cast<P>(load<T>(at + 3 * row_stride));
      acc[j] = op(acc[j], op(op(a, b), op(c, d)));
    }
  };
  if (stride == size) {
#pragma GCC ivdep
    for (std::int64_t j = 0; j < width; ++j) one(j, size);
  } else {
    for (std::int64_t j = 0; j < width; ++j) one(j, stride);
  }
}

// Outputs whose elements lie side by side: rows are added to a row of accumulators.
template <class Op, class T>
CR_INLINE void reduce_columns(const ReductionPlan& plan,
                              const char* x,
                              std::int64_t output,
                              std::int64_t width,
                              std::int64_t first,
                              std::int64_t last) {
  using P = Part<T>;
  using W = Wide<Op, T>;
  const Op op;
  const std::int64_t stride = plan.kept_strides[plan.kept_ndim - 1];
  const std::int64_t row_stride = plan.reduced_strides[plan.reduced_ndim - 1];
  P acc[kColumns];
  W totals[kColumns];
  for (std::int64_t j = 0; j < width; ++j) acc[j] = Op::template identity<P>();
  for (std::int64_t j = 0; j < width; ++j) totals[j] = Op::template identity<W>();
  std::int64_t held = 0;
  const auto flush = [&]() __attribute__((always_inline)) {
    for (std::int64_t j = 0; j < width; ++j) {
      totals[j] = op(totals[j], static_cast<W>(acc[j]));
      acc[j] = Op::template identity<P>();
    }
    held = 0;
  };
  walk_reduced(plan, x, first, last,
               [&](const char* p, std::int64_t n) __attribute__((always_inline)) {
                 for (std::int64_t i = 0; i < n;) {
                   if (n - i >= 4 && held + 4 <= kRows) {
                     add_rows<Op, T, 4>(acc, p + i * row_stride, row_stride, stride, width);
                     i += 4;
                     held += 4;
                   } else {
                     add_rows<Op, T, 1>(acc, p + i * row_stride, row_stride, stride, width);
                     ++i;
                     ++held;
                   }
                   if (held == kRows) flush();
                 }
               });
  flush();
  for (std::int64_t j = 0; j < width; ++j) finish<Op, T>(plan, output + j, totals[j]);
}

template <class Op, class T>
void reduce(const ReductionPlan& plan, std::int64_t begin, std::int64_t end) {
  const int inner = plan.kept_ndim - 1;
  const auto distance = [](std::int64_t stride) { return stride < 0 ? -stride : stride; };
  const bool columns =
      plan.kept_shape[inner] >= 8 &&
      distance(plan.kept_strides[inner]) < distance(plan.reduced_strides[plan.reduced_ndim - 1]);
  for (std::int64_t at = begin; at < end;) {
    const std::int64_t chunk = at / plan.outputs;
    const std::int64_t first = chunk * plan.chunk_size;
    const std::int64_t last =
        plan.count - first < plan.chunk_size ? plan.count : first + plan.chunk_size;
    std::int64_t rest = at % plan.outputs;
    std::int64_t left = plan.kept_shape[inner] - rest % plan.kept_shape[inner];
    const char* x = plan.x;
    for (int d = inner; d >= 0; --d) {
      x += rest % plan.kept_shape[d] * plan.kept_strides[d];
      rest /= plan.kept_shape[d];
    }
    if (left > end - at) left = end - at;
    if (columns) {
      const std::int64_t width = left < kColumns ? left : kColumns;
      reduce_columns<Op, T>(plan, x, at, width, first, last);
      at += width;
    } else {
      for (std::int64_t i = 0; i < left; ++i) {
        reduce_row<Op, T>(plan, x + i * plan.kept_strides[inner], at + i, first, last);
      }
      at += left;
    }
  }
}

// The place of the first element that is the greatest (least); a NaN counts as such, as in
// NumPy. One reduced dimension, in order.
template <class Op, class T>
void find(const ReductionPlan& plan, std::int64_t begin, std::int64_t end) {
  const std::int64_t stride = plan.reduced_strides[0];
  const Op op;
  for (std::int64_t at = begin; at < end; ++at) {
    const char* x = plan.x;
    std::int64_t rest = at;
    for (int d = plan.kept_ndim - 1; d >= 0; --d) {
      x += rest % plan.kept_shape[d] * plan.kept_strides[d];
      rest /= plan.kept_shape[d];
    }
    T best = Op::template identity<T>();
    for (std::int64_t i = 0; i < plan.count; i += kBlock) {
      const std::int64_t n = plan.count - i < kBlock ? plan.count - i : kBlock;
      best = op(best, reduce_block<Op, T>(x + i * stride, stride, n));
    }
    std::int64_t i = 0;
    if (best == best) {
      while (i + 1 < plan.count && load<T>(x + i * stride) != best) ++i;
    } else {
      for (T value = load<T>(x); i + 1 < plan.count && value == value;) {
        value = load<T>(x + ++i * stride);
      }
    }
    store<std::int32_t>(plan.y + at * static_cast<std::int64_t>(sizeof(std::int32_t)), i);
  }
}

}  // namespace

void register_reduction(KernelRegistrar add) {
  for_each_reduction([&]<class Op, class T>() {
    if constexpr (speeds_up<T>) {
      add(Op::name, static_cast<int>(dtype_of<T>), reinterpret_cast<void*>(reduce<Op, T>));
    }
  });
  for_each_find([&]<class Op, class T>() {
    if constexpr (speeds_up<T>) {
      add(find_name<Op>, static_cast<int>(dtype_of<T>), reinterpret_cast<void*>(find<Op, T>));
    }
  });
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
