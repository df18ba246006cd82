#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

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

// A job of two dimensions or more, on its way to a direction.
struct Matrix {
  TensorJob* job;
  double rate;
  Array square{};
  Array row_mean{}, col_mean{};
  Array share{}, row_factor{}, col_factor{};

  int ndim() const { return job->shape.size(); }
  const Array& row() const { return job->states[kRow].values; }
  const Array& col() const { return job->states[kCol].values; }
  Array empty(const Shape& shape) const { return Array(shape, job->dtype, job->device); }
};

// The gradient over the root of the product of row and column means, by the mean of the rows'.
// Roots are taken of the two factors, whose product may be too small a number.
void direct_matrices(Matrix* first, std::size_t count) {
  const std::span<Matrix> all(first, count);
  Sweep sweep(first->job->device);
  for (Matrix& m : all) {
    m.square = m.empty(m.job->shape);
    const double eps = values_of(m.job->values).eps1;
    sweep.add_stage(place_of<update::SquareStage>, {eps}, m.square, m.job->grad);
  }
  sweep.run();
  for (Matrix& m : all) {
    m.row_mean = mean(m.square, m.ndim() - 1);
    m.col_mean = mean(m.square, m.ndim() - 2);
    sweep.add_stage(place_of<update::MeanStage>, {m.rate}, m.row(), m.row_mean);
    sweep.add_stage(place_of<update::MeanStage>, {m.rate}, m.col(), m.col_mean);
  }
  sweep.run();
  for (Matrix& m : all) {
    const Array total = mean(m.row(), m.ndim() - 2);
    m.share = m.empty(m.row().shape());
    combine("divide", m.share, m.row(), with_axis(total, m.ndim() - 2));
    m.row_factor = m.empty(m.row().shape());
    m.col_factor = m.empty(m.col().shape());
    sweep.add_stage(place_of<update::InverseRootStage>, {1}, m.row_factor, m.share);
    sweep.add_stage(place_of<update::InverseRootStage>, {1}, m.col_factor, m.col());
  }
  sweep.run();
  for (Matrix& m : all) {
    combine("multiply", m.square, m.job->grad, with_axis(m.row_factor, m.ndim() - 1));
    m.job->direction = m.empty(m.job->shape);
    combine("multiply", m.job->direction, m.square, with_axis(m.col_factor, m.ndim() - 2));
  }
}

// On the CPU one after another, in what its caches hold; elsewhere all at a time, in few launches.
void direct_all(std::vector<Matrix> matrices, Device device) {
  if (matrices.empty()) return;
  if (device.kind != DeviceKind::cpu) return direct_matrices(matrices.data(), matrices.size());
  for (Matrix matrix : matrices) direct_matrices(&matrix, 1);  // a copy, whose memory serves again
}

void direct(std::vector<TensorJob>& jobs) {
  const Device device = jobs.front().device;
  Sweep vectors(device);
  std::vector<Matrix> matrices;
  for (TensorJob& job : jobs) {
    const Values& h = values_of(job.values);
    const double rate = std::pow(static_cast<double>(job.step.t), -h.decay_rate);
    if (job.shape.size() >= 2) {
      matrices.push_back({&job, rate});
    } else {
      job.direction = Array(job.shape, job.dtype, job.device);
      vectors.add_stage(place_of<update::NormalizeStage>, {rate, h.eps1}, job.direction, job.grad,
                        {&job.states[kFull].values});
    }
  }
  direct_all(std::move(matrices), device);
  vectors.run();
  // The sizes of all parameters, then those of their directions, in one look at the device.
  std::vector<update::Row> rows;
  for (const TensorJob& job : jobs) {
    rows.push_back(row_of(job.param, job.param_dtype, job.grad.size()));
  }
  for (const TensorJob& job : jobs) {
    rows.push_back(row_of(job.direction.raw(), job.dtype, job.direction.size()));
  }
  const std::vector<double> squares = sums_of_squares(device, rows);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const TensorJob& job = jobs[i];
    const Values& h = values_of(job.values);
    const double count = static_cast<double>(job.direction.size());
    const double t = static_cast<double>(job.step.t);
    const double size = squares[i];
    const double length = squares[jobs.size() + i];
    double rate = h.relative_step != 0 ? std::min(h.lr, 1 / std::sqrt(t)) : h.lr;
    if (h.scale_parameter != 0) rate *= std::max(h.eps2, std::sqrt(size / count));
    const double excess = std::sqrt(length / count) / h.clip_threshold;
    job.coefs[0] = excess > 1 ? rate / excess : rate;
  }
}

}  // namespace

const TensorRule kAdafactor{"Adafactor", {"row", "col", "v"}, {"sum", "divide", "multiply"},
                            check,       state_shape,         direct};

}  // namespace chainrule
