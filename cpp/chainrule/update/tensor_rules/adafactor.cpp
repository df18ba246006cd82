#include <algorithm>
#include <cmath>

#include "chainrule/backend/elementwise.h"
#include "chainrule/backend/reduction.h"
#include "chainrule/core/error.h"
#include "chainrule/update/rule_list.h"
#include "chainrule/update/sweep.h"
#include "chainrule/update/tensor_rules/tensor_rule.h"

namespace chainrule {
namespace {

using update::place_of;
using Values = update::AdafactorBase::Values;

enum State { kRow, kCol, kFull };

const Values& values_of(const double* values) { return *reinterpret_cast<const Values*>(values); }

void check(const double* values, const Shape&, const std::string& label) {
  const Values& h = values_of(values);
  const auto refuse = [&](const char* field, double value, const char* expected) {
    throw ValueError(cat("[update] ", label, ": hyperparameter '", field, "' of Adafactor: got ",
                         value, ", expected ", expected));
  };
  if (!(h.beta1 >= 0 && h.beta1 < 1)) refuse("beta1", h.beta1, "0 <= beta1 < 1");
  if (!(h.decay_rate >= 0)) refuse("decay_rate", h.decay_rate, "a number from 0 on");
  if (!(h.clip_threshold > 0)) refuse("clip_threshold", h.clip_threshold, "a positive number");
  if (!(h.eps1 >= 0)) refuse("eps1", h.eps1, "a number from 0 on");
  if (!(h.eps2 >= 0)) refuse("eps2", h.eps2, "a number from 0 on");
}

std::optional<Shape> state_shape(const double*, const Shape& shape, int place) {
  const int ndim = shape.size();
  if (place == kFull) return ndim < 2 ? std::optional<Shape>(shape) : std::nullopt;
  if (ndim < 2) return std::nullopt;
  Shape out = shape;
  out.erase(place == kRow ? ndim - 1 : ndim - 2);
  return out;
}

Array mean(const Array& x, int axis) {
  static const auto* kernel = static_cast<const ReductionKernel*>(KernelBase::find("sum"));
  Shape shape = x.shape();
  shape.erase(axis);
  const Array out(shape, x.dtype(), x.device());
  run_reduction(*kernel, out, x, {axis}, {.divisor = static_cast<double>(x.shape()[axis])});
  return out;
}

// The same numbers with a dimension of length one put in.
Array with_axis(const Array& x, int axis) {
  Shape shape = x.shape();
  shape.insert(axis, 1);
  return x.view(shape, contiguous_strides(shape, item_size(x.dtype())));
}

void combine(const char* name, const Array& out, const Array& a, const Array& b) {
  const auto* kernel = static_cast<const ElementwiseKernel*>(KernelBase::find(name));
  run_elementwise(*kernel, out.dtype(), out, {&a, &b});
}

// The gradient over the root of the product of row and column means, by the mean of the rows'.
// Roots are taken of the two factors, whose product may be too small a number.
void direct_matrix(TensorJob& job, double rate) {
  const Values& h = values_of(job.values);
  const int ndim = job.shape.size();
  const Array& row = job.states[kRow].values;
  const Array& col = job.states[kCol].values;
  const auto empty = [&](const Shape& shape) { return Array(shape, job.dtype, job.device); };
  const Array square = empty(job.shape);
  Sweep sweep(job.device);
  sweep.add_stage(place_of<update::SquareStage>, {h.eps1}, square, job.grad);
  sweep.run();
  const Array row_mean = mean(square, ndim - 1);
  const Array col_mean = mean(square, ndim - 2);
  sweep.add_stage(place_of<update::MeanStage>, {rate}, row, row_mean);
  sweep.add_stage(place_of<update::MeanStage>, {rate}, col, col_mean);
  sweep.run();
  const Array total = mean(row, ndim - 2);
  const Array share = empty(row.shape());
  combine("divide", share, row, with_axis(total, ndim - 2));
  const Array row_factor = empty(row.shape());
  const Array col_factor = empty(col.shape());
  sweep.add_stage(place_of<update::InverseRootStage>, {1}, row_factor, share);
  sweep.add_stage(place_of<update::InverseRootStage>, {1}, col_factor, col);
  sweep.run();
  combine("multiply", square, job.grad, with_axis(row_factor, ndim - 1));
  job.direction = empty(job.shape);
  combine("multiply", job.direction, square, with_axis(col_factor, ndim - 2));
}

void direct(std::vector<TensorJob>& jobs) {
  const Device device = jobs.front().device;
  Sweep vectors(device);
  std::vector<update::Row> params;
  std::vector<update::Row> directions;
  for (TensorJob& job : jobs) {
    const Values& h = values_of(job.values);
    const double rate = std::pow(static_cast<double>(job.step.t), -h.decay_rate);
    params.push_back(row_of(job.param, job.param_dtype, job.grad.size()));
    if (job.shape.size() >= 2) {
      direct_matrix(job, rate);
    } else {
      job.direction = Array(job.shape, job.dtype, job.device);
      vectors.add_stage(place_of<update::NormalizeStage>, {rate, h.eps1}, job.direction, job.grad,
                        {&job.states[kFull].values});
    }
    directions.push_back(row_of(job.direction.raw(), job.dtype, job.direction.size()));
  }
  vectors.run();
  const std::vector<double> sizes = sums_of_squares(device, params);
  const std::vector<double> lengths = sums_of_squares(device, directions);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const TensorJob& job = jobs[i];
    const Values& h = values_of(job.values);
    const double count = static_cast<double>(job.direction.size());
    const double t = static_cast<double>(job.step.t);
    double rate = h.relative_step != 0 ? std::min(h.lr, 1 / std::sqrt(t)) : h.lr;
    if (h.scale_parameter != 0) rate *= std::max(h.eps2, std::sqrt(sizes[i] / count));
    const double excess = std::sqrt(lengths[i] / count) / h.clip_threshold;
    job.coefs[0] = excess > 1 ? rate / excess : rate;
  }
}

}  // namespace

const TensorRule kAdafactor{"Adafactor", {"row", "col", "v"}, {"sum", "divide", "multiply"},
                            check,       state_shape,         direct};

}  // namespace chainrule
