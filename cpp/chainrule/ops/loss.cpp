#include "chainrule/ops/loss.h"

#include <algorithm>

#include "chainrule/autograd/backward.h"
#include "chainrule/backend/axis_plan.h"
#include "chainrule/backend/elementwise.h"
#include "chainrule/backend/launch.h"
#include "chainrule/ops/elementwise.h"
#include "chainrule/ops/labels.h"
#include "chainrule/ops/softmax.h"

namespace chainrule {
namespace {

using PairLossKernel = Kernel<PairLossFunction>;

constexpr char kSigmoid[] = "sigmoid_cross_entropy";
constexpr char kSquared[] = "mean_squared_error";

PairLossKernel sigmoid_kernel(kSigmoid);
PairLossKernel sigmoid_grad_kernel("sigmoid_cross_entropy.grad");
PairLossKernel square_kernel("squared_error");
PairLossKernel square_grad_kernel("squared_error.grad");

constexpr std::int64_t kGrainUnits = 8;

// The loss of every pair, or all of them summed and scaled, in the dtype `result`.
Array run(const PairLossKernel& kernel,
          const Array& x,
          const Array& t,
          LossReduce reduce,
          double scale,
          Dtype result) {
  PairLossPlan plan{};
  plan.size = x.size();
  plan.x = x.raw();
  plan.t = t.raw();
  const std::int64_t units = (x.size() + PairLossPlan::kChunk - 1) / PairLossPlan::kChunk;
  const bool whole = reduce == LossReduce::mean;
  const Array out =
      whole ? Array({units}, Dtype::float64, x.device()) : Array(x.shape(), x.dtype(), x.device());
  (whole ? reinterpret_cast<void*&>(plan.partials) : plan.losses) = out.raw();
  const auto function = kernel.get(x.device(), x.dtype());
  launch(x.device(), units, kGrainUnits,
         [&](std::int64_t begin, std::int64_t end) { function(plan, begin, end); });
  return whole ? scaled_sum(out, scale, result) : as_dtype(out, result);
}

// scale g times the derivative by x, in the dtype of `x`.
Array run_grad(const PairLossKernel& kernel,
               const Array& x,
               const Array& t,
               const Array& gradient,
               LossReduce reduce,
               double scale) {
  const Array g = axis_operand(gradient);
  const Array gx(x.shape(), x.dtype(), x.device());
  PairLossPlan plan{};
  plan.size = x.size();
  plan.x = x.raw();
  plan.t = t.raw();
  plan.g = g.raw();
  plan.g_step = reduce == LossReduce::mean ? 0 : 1;
  plan.scale = scale;
  plan.gx = gx.raw();
  const std::int64_t units = (x.size() + PairLossPlan::kChunk - 1) / PairLossPlan::kChunk;
  const auto function = kernel.get(x.device(), x.dtype());
  launch(x.device(), units, kGrainUnits,
         [&](std::int64_t begin, std::int64_t end) { function(plan, begin, end); });
  return gx;
}

}  // namespace

Variable sigmoid_cross_entropy(const Variable& x,
                               const Array& t,
                               bool normalize,
                               LossReduce reduce) {
  if (!is_floating(x.dtype())) {
    throw TypeError(
        cat("[", kSigmoid, "] scores: got ", x.dtype(), ", expected floating point numbers"));
  }
  if (x.shape() != t.shape()) {
    throw ValueError(
        cat("[", kSigmoid, "] labels do not fit: got ", t.shape(), ", expected ", x.shape()));
  }
  common_device(kSigmoid, {&x.array(), &t});
  const Labels labels = check_labels(kSigmoid, t, 2, -1);
  const std::int64_t batch = x.ndim() > 0 ? x.shape()[0] : 1;
  const std::int64_t divisor = std::max<std::int64_t>(1, normalize ? labels.valid : batch);
  const double scale = reduce == LossReduce::mean ? 1.0 / static_cast<double>(divisor) : 1.0;
  const Array y =
      run(sigmoid_kernel, axis_operand(x.array()), labels.values, reduce, scale, x.dtype());
  return record(
      kSigmoid, y,
      [x = Saved(x), labels = labels.values, reduce, scale](Backward& b) {
        const Variable& g = b.grad();
        const Dtype dtype = x.array().dtype();
        if (!backprop_enabled()) {
          const Array gx = run_grad(sigmoid_grad_kernel, axis_operand(x.array()), labels, g.array(),
                                    reduce, scale);
          b.set(0, Variable(as_dtype(gx, dtype)));
          return;
        }
        const Variable target(labels);
        const Variable ignored = scalar_like(target, kIgnoredLabel, ScalarKind::integer);
        const Variable factor = multiply(cast(not_equal(target, ignored), dtype),
                                         scalar_like(g, scale, ScalarKind::floating));
        const Variable difference = subtract(sigmoid(x.unpack(kSigmoid)), cast(target, dtype));
        b.set(0, multiply(difference, multiply(factor, g)));
      },
      x);
}

Variable mean_squared_error(const Variable& a, const Variable& b) {
  if (!is_floating(a.dtype()) || a.dtype() != b.dtype()) {
    throw TypeError(cat("[", kSquared, "] got ", a.dtype(), " and ", b.dtype(),
                        ", expected floating point numbers of one dtype"));
  }
  if (a.shape() != b.shape()) {
    throw ValueError(cat("[", kSquared, "] shapes differ: got ", a.shape(), " and ", b.shape()));
  }
  common_device(kSquared, {&a.array(), &b.array()});
  const double scale = 1.0 / static_cast<double>(a.size());
  const Array y = run(square_kernel, axis_operand(a.array()), axis_operand(b.array()),
                      LossReduce::mean, scale, a.dtype());
  return record(
      kSquared, y,
      [a = Saved(a), b = Saved(b), scale](Backward& ctx) {
        Variable ga;
        if (!backprop_enabled()) {
          const Array gx =
              run_grad(square_grad_kernel, axis_operand(a.array()), axis_operand(b.array()),
                       ctx.grad().array(), LossReduce::mean, scale);
          ga = Variable(as_dtype(gx, a.array().dtype()));
        } else {
          const Variable factor = scalar_like(ctx.grad(), 2.0 * scale, ScalarKind::floating);
          ga = multiply(subtract(a.unpack(kSquared), b.unpack(kSquared)),
                        multiply(ctx.grad(), factor));
        }
        if (ctx.needs(1)) ctx.set(1, negative(ga));
        if (ctx.needs(0)) ctx.set(0, ga);
      },
      a, b);
}

}  // namespace chainrule
