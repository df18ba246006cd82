#include <algorithm>
#include <cmath>
#include <cstring>

#include "chainrule/backend/gemm.h"
#include "chainrule/core/error.h"
#include "chainrule/update/rule_list.h"
#include "chainrule/update/sweep.h"
#include "chainrule/update/tensor_rules/newton_schulz.h"
#include "chainrule/update/tensor_rules/tensor_rule.h"

namespace chainrule {
namespace {

using Values = update::Muon::Values;

const Values& values_of(const double* values) { return *reinterpret_cast<const Values*>(values); }

struct Sides {
  std::int64_t rows;
  std::int64_t cols;
  bool operator==(const Sides&) const = default;
};

Sides sides_of(const Shape& shape) {
  Sides sides{shape[0], 1};
  for (int i = 1; i < shape.size(); ++i) sides.cols *= shape[i];
  return sides;
}

void check(const double* values, const Shape& shape, const std::string& label) {
  const Values& h = values_of(values);
  if (shape.size() > 2 && h.flatten == 0) {
    throw ValueError(cat("[update] ", label, ": Muon is for matrices: got shape ", shape,
                         ", expected two dimensions. Muon(flatten=True) takes a convolution's "
                         "kernel as a matrix (out, -1); give other parameters another rule, for "
                         "example AdamW"));
  }
  if (shape.size() < 2) {
    throw ValueError(cat("[update] ", label, ": Muon is for matrices: got shape ", shape,
                         ", expected two dimensions. Give this parameter another rule: "
                         "param.update_rule = optimizers.AdamW().create_update_rule()"));
  }
  const auto refuse = [&](const char* field, double value, const char* expected) {
    throw ValueError(cat("[update] ", label, ": hyperparameter '", field, "' of Muon: got ", value,
                         ", expected ", expected));
  };
  if (!(h.momentum >= 0 && h.momentum < 1)) refuse("momentum", h.momentum, "0 <= momentum < 1");
  if (!(h.ns_steps >= 0 && h.ns_steps <= 100 && h.ns_steps == std::floor(h.ns_steps))) {
    refuse("ns_steps", h.ns_steps, "a whole number from 0 to 100");
  }
  if (!(h.eps > 0)) refuse("eps", h.eps, "a positive number");
}

std::optional<Shape> state_shape(const double*, const Shape& shape, int) { return shape; }

double scale_of(const Values& h, Sides sides) {
  const double rows = static_cast<double>(sides.rows);
  const double cols = static_cast<double>(sides.cols);
  return h.match_rms_adamw != 0 ? 0.2 * std::sqrt(std::max(rows, cols))
                                : std::sqrt(std::max(1.0, rows / cols));
}

// What the iteration is computed in.
Dtype dtype_of(const TensorJob& job) {
  const bool narrow = values_of(job.values).ns_bfloat16 != 0 && job.dtype == Dtype::float32;
  return narrow && has_bfloat16_gemm(job.device) ? Dtype::bfloat16 : job.dtype;
}

bool iterate_alike(const TensorJob& a, const TensorJob& b) {
  return sides_of(a.shape) == sides_of(b.shape) && dtype_of(a) == dtype_of(b) &&
         values_of(a.values).ns_steps == values_of(b.values).ns_steps;
}

// The directions of matrices of one shape, in one batch.
void direct_alike(const std::vector<TensorJob*>& jobs, Sides sides) {
  const TensorJob& first = *jobs.front();
  const auto count = static_cast<std::int64_t>(jobs.size());
  const Array batch({count, sides.rows, sides.cols}, first.dtype, first.device);
  const auto place = [&](const Array& from, std::size_t i, const Shape& shape) {
    return from.view(shape, contiguous_strides(shape, item_size(first.dtype)),
                     static_cast<std::int64_t>(i) * from.strides()[0]);
  };
  Sweep momentum(first.device);
  std::vector<update::Row> rows;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const TensorJob& job = *jobs[i];
    const Values& h = values_of(job.values);
    const Array mixture = place(batch, i, job.shape);
    momentum.add_stage(update::place_of<update::MomentumStage>,
                       {1 - h.momentum, h.nesterov != 0 ? h.momentum : 1.0}, mixture, job.grad,
                       {&job.states[0].values});
    rows.push_back(row_of(mixture.raw(), first.dtype, mixture.size()));
  }
  momentum.run();
  std::vector<double> norms = sums_of_squares(first.device, rows);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    norms[i] = std::sqrt(norms[i]);
    // Not std::max, which loses a NaN.
    const double eps = values_of(jobs[i]->values).eps;
    if (norms[i] < eps) norms[i] = eps;
  }
  const int steps = static_cast<int>(values_of(first.values).ns_steps);
  const Array result = newton_schulz(batch, norms.data(), steps, dtype_of(first));
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    TensorJob& job = *jobs[i];
    job.direction = place(result, i, job.shape);
    const Values& h = values_of(job.values);
    job.coefs[0] = h.lr * scale_of(h, sides);
  }
}

void direct(std::vector<TensorJob>& jobs) {
  std::vector<bool> done(jobs.size());
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (done[i]) continue;
    std::vector<TensorJob*> alike;
    for (std::size_t k = i; k < jobs.size(); ++k) {
      if (done[k] || !iterate_alike(jobs[i], jobs[k])) continue;
      done[k] = true;
      alike.push_back(&jobs[k]);
    }
    direct_alike(alike, sides_of(jobs[i].shape));
  }
}

}  // namespace

const TensorRule kMuon{"Muon", {"m"}, {"gemm"}, check, state_shape, direct};

}  // namespace chainrule
