#include <algorithm>

#include "chainrule/backend/elementwise.h"
#include "chainrule/update/rule_list.h"
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
  out.observed = out.clear_grad = out.in_place = false;
  out.fused = update::Fused::none;
  return out;
}

Dtype computed_in(const Row& row) {
  const bool wide = row.param_dtype == static_cast<std::uint8_t>(Dtype::float64);
  return wide ? Dtype::float64 : Dtype::float32;
}

// The rule by itself, on a parameter of zeros: what it adds to the real one.
Row update_of(const Row& row, const Array& seen, const Array& update) {
  Row out = row;
  out.param = update.raw();
  out.grad = seen.raw();
  out.param_dtype = out.grad_dtype = static_cast<std::uint8_t>(seen.dtype());
  out.half = nullptr;
  out.shared_count = out.own_count = 0;
  out.write_grad = out.programmed = out.observed = out.clear_grad = false;
  out.fused = update::Fused::none;
  out.in_place = out.state_count == 0 || out.state_dtype == out.param_dtype;
  return out;
}

}  // namespace

bool UpdateTable::needs_scratch(std::size_t i) const {
  const Array& grad = entries_[i].gradient();
  const Row& row = rows_[i];
  return row.programmed || row.half || grad.dtype() != computed_in(row) || !grad.is_contiguous();
}

// Gradients as the hooks leave them, in the type computed in; of rows on one device.
void UpdateTable::see_gradients(const std::vector<std::size_t>& places) {
  if (places.empty()) return;
  Sweep programs(entries_[places.front()].device);
  for (const std::size_t i : places) {
    Entry& entry = entries_[i];
    if (entry.seen.defined()) continue;
    entry.seen = entry.gradient();
    if (!needs_scratch(i)) continue;
    const Array scratch(entry.seen.shape(), computed_in(rows_[i]), entry.device);
    copy_into(scratch, entry.seen);
    entry.seen = scratch;
    if (rows_[i].programmed || rows_[i].half) programs.add(program_of(rows_[i], scratch));
  }
  programs.run();
}

void UpdateTable::direct() {
  std::vector<Group> groups;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    const Row& row = rows_[i];
    const Algorithm* algorithm = entry.rule->algorithm();
    if (!algorithm || !algorithm->tensor || entry.planned <= 0 || row.skip ||
        row.rule == update::kNoRule) {
      continue;
    }
    group_of(groups, algorithm, entry.device, computed_in(row)).places.push_back(i);
  }
  for (Group& group : groups) {
    see_gradients(group.places);
    for (const std::size_t i : group.places) {
      Entry& entry = entries_[i];
      Row& row = rows_[i];
      TensorJob job{};
      job.values = entry.rule->resolved().values;
      job.step = {entry.rule->t + (entry.counts ? 1 : 0), entry.scalars, &powers_};
      job.states = &entry.rule->stored_state(group.algorithm->first_tensor_state);
      job.shape = entry.seen.shape();
      job.dtype = group.dtype;
      job.device = group.device;
      job.param = row.param;
      job.param_dtype = static_cast<Dtype>(row.param_dtype);
      job.grad = entry.seen;
      job.coefs = row.coefs;
      group.jobs.push_back(std::move(job));
    }
    group.algorithm->tensor->direct(group.jobs);
    for (std::size_t k = 0; k < group.jobs.size(); ++k) {
      entries_[group.places[k]].direction = group.jobs[k].direction;
      rows_[group.places[k]].direction = group.jobs[k].direction.raw();
    }
  }
}

// Updates of cautious rules: their components that go against the gradient are taken out before
// the sweep, which only adds what is left. The decay of the parameter itself is no part of it.
void UpdateTable::restrain() {
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const Row& row = rows_[i];
    if (!entries_[i].rule->cautious || entries_[i].planned <= 0 || row.skip ||
        row.rule == update::kNoRule) {
      continue;
    }
    places.push_back(i);
  }
  while (!places.empty()) {
    const Device device = entries_[places.front()].device;
    const auto rest = std::stable_partition(
        places.begin(), places.end(), [&](std::size_t i) { return entries_[i].device == device; });
    const std::vector<std::size_t> here(places.begin(), rest);
    places.erase(places.begin(), rest);
    see_gradients(here);
    Sweep rules(device);
    Sweep masks(device);
    for (const std::size_t i : here) {
      Entry& entry = entries_[i];
      entry.update = filled(entry.seen.shape(), entry.seen.dtype(), device, 0);
      rules.add(update_of(rows_[i], entry.seen, entry.update));
      masks.add_stage(update::place_of<update::CautiousStage>, {1}, entry.update, entry.seen);
      masks.rows().back().sums = 1;
    }
    rules.run();
    const std::vector<double> kept = masks.measure();
    for (std::size_t k = 0; k < here.size(); ++k) {
      Row& mask = masks.rows()[k];
      mask.coefs[0] = static_cast<double>(mask.size) / (kept[k] + 1);
      Row& row = rows_[here[k]];
      replaced_.emplace_back(here[k], row);
      const int keep = entries_[here[k]].rule->resolved().variant->keep;
      row.coefs[0] = keep < 0 ? 1 : row.coefs[keep];
      row.rule = update::place_of<update::ApplyStage>;
      row.direction = entries_[here[k]].update.raw();
      row.state_count = 0;
    }
    masks.run();
  }
}

}  // namespace chainrule
