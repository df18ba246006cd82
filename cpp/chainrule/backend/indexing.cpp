#include "chainrule/backend/indexing.h"

#include <algorithm>

#include "chainrule/backend/elementwise.h"
#include "chainrule/backend/gather_plan.h"
#include "chainrule/backend/kernel.h"
#include "chainrule/backend/launch.h"

namespace chainrule {
namespace {

Kernel<GatherFunction> take_kernel("take");
Kernel<GatherFunction> put_add_kernel("put_add");

constexpr std::int64_t kGrain = 16384;

GatherPlan make_plan(const Array& x, const Array& y, const Places& places) {
  GatherPlan plan;
  plan.x = reinterpret_cast<char*>(x.raw());
  plan.y = reinterpret_cast<char*>(y.raw());
  plan.y_step = places.y_step;
  plan.count = static_cast<std::int64_t>(places.offsets.size());
  plan.offsets = places.offsets.data();
  plan.rest = element_count(places.rest);
  int n = 0;
  for (int i = 0; i < places.rest.size(); ++i) {
    const std::int64_t length = places.rest[i];
    if (length == 1) continue;
    if (n > 0 && plan.x_strides[n - 1] == places.x_strides[i] * length &&
        plan.y_strides[n - 1] == places.y_strides[i] * length) {
      plan.shape[n - 1] *= length;
    } else {
      plan.shape[n++] = length;
    }
    plan.x_strides[n - 1] = places.x_strides[i];
    plan.y_strides[n - 1] = places.y_strides[i];
  }
  if (n == 0) {
    plan.shape[0] = 1;
    plan.x_strides[0] = plan.y_strides[0] = item_size(x.dtype());
    n = 1;
  }
  plan.ndim = n;
  return plan;
}

// The dtype whose kernel moves elements of this size.
Dtype mover(Dtype dtype) {
  switch (item_size(dtype)) {
    case 1:
      return Dtype::uint8;
    case 2:
      return Dtype::int16;
    case 4:
      return Dtype::int32;
    default:
      return Dtype::int64;
  }
}

}  // namespace

void take(const Array& y, const Array& x, const Places& places) {
  if (y.size() == 0) return;
  const Device device = common_device("take", {&y, &x});
  const GatherPlan plan = make_plan(x, y, places);
  const auto function = take_kernel.get(device, mover(x.dtype()));
  launch(device, plan.count, std::max<std::int64_t>(1, kGrain / plan.rest),
         [&](std::int64_t begin, std::int64_t end) { function(plan, begin, end); });
}

void put_add(const Array& x, const Array& y, const Places& places) {
  if (y.size() == 0) return;
  const Device device = common_device("put_add", {&x, &y});
  const GatherPlan plan = make_plan(x, y, places);
  const auto function = put_add_kernel.get(device, x.dtype());
  const std::int64_t grain = std::max<std::int64_t>(64, kGrain / plan.count);
  launch(device, plan.rest, grain,
         [&](std::int64_t begin, std::int64_t end) { function(plan, begin, end); });
}

}  // namespace chainrule
