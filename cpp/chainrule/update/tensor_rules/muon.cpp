#include <algorithm>
#include <cmath>

#include "chainrule/backend/gemm.h"
#include "chainrule/backend/normalize.h"
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
  const Values& h = values_of(a.values);
  const Values& other = values_of(b.values);
  return sides_of(a.shape) == sides_of(b.shape) && dtype_of(a) == dtype_of(b) &&
         h.ns_steps == other.ns_steps && h.eps == other.eps;
}

// Matrices of one shape, which go through the iteration in one batch.
struct Alike {
  std::vector<TensorJob*> jobs;
  Sides sides;
  Array batch;  // momentum

  const TensorJob& first() const { return *jobs.front(); }
  Array place(const Array& from, std::size_t i) const {
    const Shape& shape = jobs[i]->shape;
    return from.view(shape, contiguous_strides(shape, item_size(first().dtype)),
                     static_cast<std::int64_t>(i) * from.strides()[0]);
  }
};

std::vector<Alike> sorted(std::vector<TensorJob>& jobs) {
  std::vector<Alike> groups;
  for (TensorJob& job : jobs) {
    const auto group = std::find_if(groups.begin(), groups.end(), [&](const Alike& other) {
      return iterate_alike(job, other.first());
    });
    if (group != groups.end()) {
      group->jobs.push_back(&job);
    } else {
      groups.push_back({{&job}, sides_of(job.shape), {}});
    }
  }
  return groups;
}

// In one sweep for all groups.
void gather_momentum(std::vector<Alike>& groups, Device device) {
  Sweep sweep(device);
  for (Alike& group : groups) {
    group.batch =
        Array({static_cast<std::int64_t>(group.jobs.size()), group.sides.rows, group.sides.cols},
              group.first().dtype, device);
    for (std::size_t i = 0; i < group.jobs.size(); ++i) {
      const TensorJob& job = *group.jobs[i];
      const Values& h = values_of(job.values);
      sweep.add_stage(update::place_of<update::MomentumStage>,
                      {1 - h.momentum, h.nesterov != 0 ? h.momentum : 1.0},
                      group.place(group.batch, i), job.grad, {&job.states[0].values});
    }
  }
  sweep.run();
}

// Norms of the matrices of all groups in turn, as divisors.
std::vector<double> norms_of(const std::vector<Alike>& groups, Device device) {
  std::vector<update::Row> rows;
  std::vector<double> least;
  for (const Alike& group : groups) {
    for (std::size_t i = 0; i < group.jobs.size(); ++i) {
      const Array matrix = group.place(group.batch, i);
      rows.push_back(row_of(matrix.raw(), matrix.dtype(), matrix.size()));
      least.push_back(values_of(group.jobs[i]->values).eps);
    }
  }
  std::vector<double> norms = sums_of_squares(device, rows);
  for (std::size_t i = 0; i < norms.size(); ++i) {
    norms[i] = std::sqrt(norms[i]);
    // Not std::max, which loses a NaN.
    if (norms[i] < least[i]) norms[i] = least[i];
  }
  return norms;
}

void direct(std::vector<TensorJob>& jobs) {
  const Device device = jobs.front().device;
  std::vector<Alike> groups = sorted(jobs);
  gather_momentum(groups, device);
  const bool host_knows = !has_normalize(device, jobs.front().dtype);
  const std::vector<double> norms = host_knows ? norms_of(groups, device) : std::vector<double>();
  const double* next = norms.data();
  for (Alike& group : groups) {
    const Values& h = values_of(group.first().values);
    const int steps = static_cast<int>(h.ns_steps);
    const Dtype dtype = dtype_of(group.first());
    const Array result = host_knows ? newton_schulz(group.batch, next, steps, dtype)
                                    : newton_schulz(group.batch, h.eps, steps, dtype);
    if (host_knows) next += group.jobs.size();
    group.batch = {};
    for (std::size_t i = 0; i < group.jobs.size(); ++i) {
      TensorJob& job = *group.jobs[i];
      job.direction = group.place(result, i);
      job.coefs[0] = values_of(job.values).lr * scale_of(values_of(job.values), group.sides);
    }
  }
}

}  // namespace

const TensorRule kMuon{"Muon", {"m"}, {"gemm"}, check, state_shape, direct};

}  // namespace chainrule
