#include "chainrule/backend/elementwise.h"
#include "chainrule/update/sweep.h"
#include "chainrule/update/tensor_rules/tensor_rule.h"
#include "chainrule/update/update_table.h"

// Directions of whole tensors, between the norms and the sweep.
namespace chainrule {
namespace {

using update::Row;

struct Group {
  const Algorithm* algorithm;
  Device device;
  Dtype dtype;
  std::vector<TensorJob> jobs;
  std::vector<std::size_t> places;
};

Group& group_of(std::vector<Group>& groups,
                const Algorithm* algorithm,
                Device device,
                Dtype dtype) {
  for (Group& group : groups) {
    if (group.algorithm == algorithm && group.device == device && group.dtype == dtype) {
      return group;
    }
  }
  return groups.emplace_back(Group{algorithm, device, dtype, {}, {}});
}

// A row that runs the gradient's programs in `scratch`, and brings a master up to date.
Row program_of(const Row& row, const Array& scratch) {
  Row out = row;
  out.grad = scratch.raw();
  out.grad_dtype = static_cast<std::uint8_t>(scratch.dtype());
  out.rule = update::kNoRule;
  out.direction = nullptr;
  out.state_count = 0;
  out.sums = 0;
  out.write_grad = true;
  out.fused = out.observed = out.clear_grad = out.in_place = false;
  return out;
}

}  // namespace

void UpdateTable::direct() {
  std::vector<Group> groups;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    Row& row = rows_[i];
    const Algorithm* algorithm = entry.rule->algorithm();
    if (!algorithm || !algorithm->tensor || entry.planned <= 0 || row.skip ||
        row.rule == update::kNoRule) {
      continue;
    }
    const bool wide = row.param_dtype == static_cast<std::uint8_t>(Dtype::float64);
    Group& group = group_of(groups, algorithm, entry.device,
                            wide ? Dtype::float64 : Dtype::float32);
    const Array& grad = entry.param->grad().array();
    TensorJob job{};
    job.values = entry.rule->resolve(entry.path).values;
    job.step = {entry.rule->t + (entry.counts ? 1 : 0), entry.scalars, &powers_};
    job.states = &entry.rule->state(algorithm->first_tensor_state);
    job.shape = grad.shape();
    job.dtype = group.dtype;
    job.device = group.device;
    job.param = row.param;
    job.param_dtype = static_cast<Dtype>(row.param_dtype);
    job.grad = grad;
    job.coefs = row.coefs;
    group.jobs.push_back(std::move(job));
    group.places.push_back(i);
  }
  for (Group& group : groups) {
    Sweep programs(group.device);
    for (std::size_t k = 0; k < group.jobs.size(); ++k) {
      const Row& row = rows_[group.places[k]];
      Array& grad = group.jobs[k].grad;
      if (!row.programmed && !row.half && grad.dtype() == group.dtype && grad.is_contiguous()) {
        continue;
      }
      const Array scratch(grad.shape(), group.dtype, group.device);
      copy_into(scratch, grad);
      grad = scratch;
      if (row.programmed || row.half) programs.add(program_of(row, scratch));
    }
    programs.run();
    group.algorithm->tensor->direct(group.jobs);
    for (std::size_t k = 0; k < group.jobs.size(); ++k) {
      entries_[group.places[k]].direction = group.jobs[k].direction;
      rows_[group.places[k]].direction = group.jobs[k].direction.raw();
    }
  }
}

}  // namespace chainrule
