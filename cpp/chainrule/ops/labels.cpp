#include "chainrule/ops/labels.h"

#include <mutex>

#include "chainrule/backend/axis_plan.h"
#include "chainrule/backend/elementwise.h"
#include "chainrule/backend/launch.h"
#include "chainrule/core/memory.h"

namespace chainrule {
namespace {

Kernel<LabelsFunction> labels_kernel("check_labels");
Kernel<void(const double*, std::int64_t, double, void*)> sum_kernel("scaled_sum");

constexpr std::int64_t kGrain = 32768;

}  // namespace

Labels read_labels(const char* op,
                   const Array& t,
                   std::int64_t classes,
                   std::optional<std::int64_t> ignore_label) {
  if (!is_integral(t.dtype())) {
    throw TypeError(cat("[", op, "] labels: got ", t.dtype(), ", expected integers"));
  }
  if (classes > INT32_MAX) throw ValueError(cat("[", op, "] too many classes: got ", classes));
  const Array in = as_contiguous(t);
  Labels labels{Array(t.shape(), Dtype::int32, t.device())};
  const LabelsPlan plan{in.raw(), labels.values.data<std::int32_t>(), classes,
                        ignore_label.value_or(0), ignore_label.has_value()};
  const auto function = labels_kernel.get(t.device(), t.dtype());
  std::mutex mutex;
  launch(t.device(), t.size(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    const LabelsResult part = function(plan, begin, end);
    const std::lock_guard lock(mutex);
    labels.valid += part.valid;
    if (part.wrong >= 0 && (labels.wrong < 0 || part.wrong < labels.wrong)) {
      labels.wrong = part.wrong;
    }
  });
  return labels;
}

Labels check_labels(const char* op,
                    const Array& t,
                    std::int64_t classes,
                    std::int64_t ignore_label) {
  Labels labels = read_labels(op, t, classes, ignore_label);
  if (labels.wrong < 0) return labels;
  Axes index = Axes::filled(t.ndim(), 0);
  std::int64_t rest = labels.wrong;
  std::int64_t offset = 0;
  for (int i = t.ndim(); i-- > 0;) {
    index[i] = rest % t.shape()[i];
    rest /= t.shape()[i];
    offset += index[i] * t.strides()[i];
  }
  const Array label = as_dtype(t.view({}, {}, offset), Dtype::int64);
  std::int64_t value = 0;
  device_memory(t.device().kind).copy(&value, {}, label.raw(), t.device(), sizeof value);
  throw ValueError(cat("[", op, "] label out of range: got ", value, " at index ", index,
                       ", expected 0 <= label < ", classes, " (the number of classes), or ",
                       ignore_label, " to ignore"));
}

Array scaled_sum(const Array& partials, double scale, Dtype dtype) {
  const Array out(Shape{}, dtype, partials.device());
  sum_kernel.get(out.device(), dtype)(partials.data<double>(), partials.size(), scale, out.raw());
  return out;
}

}  // namespace chainrule
