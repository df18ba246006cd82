#include "chainrule/backend/normalize.h"

#include "chainrule/backend/kernel.h"
#include "chainrule/backend/normalize_plan.h"

namespace chainrule {
namespace {

Kernel<NormalizeFunction> normalize_kernel("normalize");

}  // namespace

bool has_normalize(Device device, Dtype dtype) {
  return normalize_kernel.has(device.kind, static_cast<int>(dtype));
}

void normalize(const Array& out, const Array& x, double eps) {
  if (x.size() == 0) return;
  const std::int64_t count = x.shape()[0];
  normalize_kernel.get(x.device(), x.dtype())({.x = x.raw(),
                                               .y = out.raw(),
                                               .count = count,
                                               .size = x.size() / count,
                                               .eps = eps,
                                               .device = x.device().index,
                                               .y_dtype = static_cast<std::uint8_t>(out.dtype())});
}

}  // namespace chainrule
