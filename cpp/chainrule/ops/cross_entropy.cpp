#include <algorithm>

#include "chainrule/autograd/backward.h"
#include "chainrule/backend/elementwise.h"
#include "chainrule/backend/launch.h"
#include "chainrule/ops/elementwise.h"
#include "chainrule/ops/labels.h"
#include "chainrule/ops/loss.h"
#include "chainrule/ops/manipulation.h"
#include "chainrule/ops/reduction.h"
#include "chainrule/ops/softmax.h"

namespace chainrule {
namespace {

constexpr char kOp[] = "softmax_cross_entropy";

Kernel<CrossEntropyFunction> forward_kernel(kOp);
Kernel<CrossEntropyFunction> grad_kernel("softmax_cross_entropy.grad");
Kernel<CrossEntropyFunction> accuracy_kernel("accuracy");
Kernel<SpreadLabelsFunction> spread_kernel("spread_labels");

void run(const Kernel<CrossEntropyFunction>& kernel, const CrossEntropyPlan& plan, const Array& x) {
  const auto function = kernel.get(x.device(), x.dtype());
  launch(x.device(), plan.axis.units(), axis_grain(plan.axis),
         [&](std::int64_t begin, std::int64_t end) { function(plan, begin, end); });
}

void check_scores(const Variable& x) {
  if (!is_floating(x.dtype())) {
    throw TypeError(
        cat("[", kOp, "] scores: got ", x.dtype(), ", expected floating point numbers"));
  }
  if (x.ndim() < 2) {
    throw ValueError(
        cat("[", kOp, "] scores: got shape ", x.shape(), ", expected (batch, classes, ...)"));
  }
}

// In the dtype of the computation.
Array checked_weight(const std::optional<Array>& weight, const Array& x) {
  if (!weight) return {};
  if (!is_floating(weight->dtype()) || weight->ndim() != 1 || weight->size() != x.shape()[1]) {
    throw ValueError(cat("[", kOp, "] class_weight: got ", weight->dtype(), " ", weight->shape(),
                         ", expected floating point numbers of shape (", x.shape()[1], ",)"));
  }
  common_device(kOp, {&x, &*weight});
  return as_contiguous(as_dtype(*weight, compute_dtype(x.dtype())));
}

// Probabilities instead of labels.
Variable soft_target_loss(const Variable& x,
                          const Array& t,
                          const SoftmaxCrossEntropyOptions& options) {
  if (t.shape() != x.shape()) {
    throw ValueError(
        cat("[", kOp, "] soft targets do not fit: got ", t.shape(), ", expected ", x.shape()));
  }
  const Variable target = cast(Variable(t), x.dtype());
  Variable y = negative(sum(multiply(target, log_softmax(x, 1)), {1}));
  if (options.soft_target_loss == SoftTargetLoss::kl_divergence) {
    const Variable safe = add(target, scalar_like(target, 1e-7, ScalarKind::floating));
    y = add(y, sum(multiply(target, log(safe)), {1}));
  }
  return options.reduce == LossReduce::mean ? mean(y) : y;
}

}  // namespace

Variable softmax_cross_entropy(const Variable& x,
                               const Array& t,
                               const SoftmaxCrossEntropyOptions& options) {
  check_scores(x);
  common_device(kOp, {&x.array(), &t});
  if (is_floating(t.dtype())) return soft_target_loss(x, t, options);
  Shape shape = x.shape();
  shape.erase(1);
  if (t.shape() != shape) {
    throw ValueError(cat("[", kOp, "] labels do not fit: got ", t.shape(), ", expected ", shape,
                         " for scores ", x.shape()));
  }
  const Array weight = checked_weight(options.class_weight, x.array());
  const Labels labels = check_labels(kOp, t, x.shape()[1], options.ignore_label);

  const bool whole = options.reduce == LossReduce::mean;
  const std::int64_t divisor = options.normalize ? labels.valid : x.shape()[0];
  const Array in = axis_operand(x.array());
  const Array stats({2 * t.size()}, in.dtype(), in.device());
  CrossEntropyPlan plan{};
  plan.axis = axis_plan(x.shape(), 1);
  plan.x = in.raw();
  plan.labels = labels.values.data<std::int32_t>();
  plan.weights = weight.raw();
  plan.stats = stats.raw();
  plan.scale = whole ? 1.0 / static_cast<double>(std::max<std::int64_t>(1, divisor)) : 1.0;
  plan.g_step = whole ? 0 : 1;
  Array y;
  if (whole) {
    const Array partials({plan.axis.units()}, Dtype::float64, in.device());
    plan.partials = partials.data<double>();
    run(forward_kernel, plan, in);
    y = scaled_sum(partials, plan.scale, x.dtype());
  } else {
    const Array losses(shape, in.dtype(), in.device());
    plan.losses = losses.raw();
    run(forward_kernel, plan, in);
    y = as_dtype(losses, x.dtype());
  }
  return record(
      kOp, y,
      [plan, stats, weight, labels = labels.values, x = Saved(x)](Backward& b) mutable {
        if (!backprop_enabled()) {
          const Array scores = axis_operand(x.array());
          const Array g = axis_operand(b.grad().array());
          const Array gx(scores.shape(), scores.dtype(), scores.device());
          plan.x = scores.raw();
          plan.g = g.raw();
          plan.gx = gx.raw();
          run(grad_kernel, plan, scores);
          b.set(0, Variable(as_dtype(gx, x.array().dtype())));
          return;
        }
        // (softmax(x) - one at the label) w g, which can be differentiated again.
        const Array& scores = x.array();
        const Dtype dtype = scores.dtype();
        Shape kept = scores.shape();
        kept[1] = 1;
        const Array ones(scores.shape(), compute_dtype(dtype), scores.device());
        const Array weights(kept, ones.dtype(), scores.device());
        fill(ones, 0.0);
        const SpreadLabelsPlan spread{plan.axis,  plan.labels, plan.weights,
                                      plan.scale, ones.raw(),  weights.raw()};
        spread_kernel.get(scores.device(), ones.dtype())(spread);
        Variable g = b.grad();
        if (plan.g_step != 0) g = reshape(g, kept);
        const Variable difference =
            subtract(softmax(x.unpack(kOp), 1), cast(Variable(ones), dtype));
        b.set(0, multiply(difference, multiply(g, cast(Variable(weights), dtype))));
      },
      x);
}

Variable accuracy(const Variable& y, const Array& t, std::optional<std::int64_t> ignore_label) {
  if (!is_floating(y.dtype())) {
    throw TypeError(cat("[accuracy] scores: got ", y.dtype(), ", expected floating point numbers"));
  }
  common_device("accuracy", {&y.array(), &t});
  // Dimensions of y that t does not have must be of length one.
  const Shape& shape = y.shape();
  bool fits =
      shape.size() >= 2 && t.ndim() >= 1 && shape.size() >= t.ndim() && t.shape()[0] == shape[0];
  for (int i = 2; fits && i < shape.size(); ++i) {
    fits = shape[i] == (i <= t.ndim() ? t.shape()[i - 1] : 1);
  }
  if (fits && shape.size() == t.ndim()) fits = t.shape().back() == 1;
  if (!fits || shape[1] == 0) {
    throw ValueError(cat("[accuracy] got scores ", shape, " and labels ", t.shape(),
                         ", expected (batch, classes, ...) and (batch, ...)"));
  }
  const Labels labels = read_labels("accuracy", t, shape[1], ignore_label);
  const Array in = axis_operand(y.array());
  CrossEntropyPlan plan{};
  plan.axis = axis_plan(shape, 1);
  plan.x = in.raw();
  plan.labels = labels.values.data<std::int32_t>();
  const Array partials({plan.axis.units()}, Dtype::float64, in.device());
  plan.partials = partials.data<double>();
  run(accuracy_kernel, plan, in);
  const double scale =
      ignore_label && labels.valid == 0 ? 0.0 : 1.0 / static_cast<double>(labels.valid);
  return Variable(scaled_sum(partials, scale, y.dtype()));
}

}  // namespace chainrule
