#include "chainrule/backend/cpu/kernels/kernels.h"
#include "chainrule/backend/cpu/kernels/loop.h"
#include "chainrule/backend/gather_plan.h"
#include "chainrule/core/dtype.h"
#include "chainrule/functors/instances.h"

// Reading from and adding to computed places.
namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {
namespace {

using namespace functors;

// Calls body(x, y, n) for each innermost run of `rest` within begin..end of one place.
template <class Body>
CR_INLINE void walk_rest(const GatherPlan& plan,
                         char* x,
                         char* y,
                         std::int64_t begin,
                         std::int64_t end,
                         const Body& body) {
  const int inner = plan.ndim - 1;
  if (inner == 0) {
    body(x + begin * plan.x_strides[0], y + begin * plan.y_strides[0], end - begin);
    return;
  }
  std::int64_t index[GatherPlan::kMaxDims];
  std::int64_t rest = begin;
  for (int d = inner; d >= 0; --d) {
    index[d] = rest % plan.shape[d];
    rest /= plan.shape[d];
  }
  for (std::int64_t at = begin; at < end;) {
    char* px = x;
    char* py = y;
    for (int d = 0; d <= inner; ++d) {
      px += index[d] * plan.x_strides[d];
      py += index[d] * plan.y_strides[d];
    }
    std::int64_t n = plan.shape[inner] - index[inner];
    if (n > end - at) n = end - at;
    body(px, py, n);
    at += n;
    index[inner] = 0;
    for (int d = inner - 1; d >= 0 && ++index[d] == plan.shape[d]; --d) index[d] = 0;
  }
}

// T stands for all types of its size.
template <class T>
void take(const GatherPlan& plan, std::int64_t begin, std::int64_t end) {
  const int inner = plan.ndim - 1;
  const std::int64_t sx = plan.x_strides[inner];
  const std::int64_t sy = plan.y_strides[inner];
  for (std::int64_t i = begin; i < end; ++i) {
    walk_rest(plan, plan.x + plan.offsets[i], plan.y + i * plan.y_step, 0, plan.rest,
              [&](char* x, char* y, std::int64_t n) __attribute__((always_inline)) {
                run_inner<T, T>(y, sy, x, sx, n, [](T value) { return value; });
              });
  }
}

// Places may repeat, so every call goes over all of them: threads share `rest`.
template <class T>
void put_add(const GatherPlan& plan, std::int64_t begin, std::int64_t end) {
  const int inner = plan.ndim - 1;
  const std::int64_t sx = plan.x_strides[inner];
  const std::int64_t sy = plan.y_strides[inner];
  for (std::int64_t i = 0; i < plan.count; ++i) {
    walk_rest(plan, plan.x + plan.offsets[i], plan.y + i * plan.y_step, begin, end,
              [&](char* x, char* y, std::int64_t n) __attribute__((always_inline)) {
                run_inner<T, T, T>(x, sx, x, sx, y, sy, n,
                                   [](Compute<T> a, Compute<T> b) { return Add()(a, b); });
              });
  }
}

}  // namespace

void register_indexing(KernelRegistrar add) {
  for_each_type(Types<std::uint8_t, std::int16_t, std::int32_t, std::int64_t>{}, [&]<class T>() {
    if constexpr (speeds_up<T>) {
      add("take", static_cast<int>(dtype_of<T>), reinterpret_cast<void*>(take<T>));
    }
  });
  for_each_type(Floating{}, [&]<class T>() {
    add("put_add", static_cast<int>(dtype_of<T>), reinterpret_cast<void*>(put_add<T>));
  });
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
