#include <algorithm>
#include <atomic>
#include <cmath>
#include <unordered_map>

#include "chainrule/backend/cpu/update.h"
#include "chainrule/backend/elementwise.h"
#include "chainrule/backend/parallel.h"
#include "chainrule/core/error.h"
#include "chainrule/update/gradient_program.h"
#include "chainrule/update/sweep.h"
#include "chainrule/update/update_table.h"

// A prepared step: sweeps over memory, and what is taken down of them.
namespace chainrule {
namespace {

using update::Batch;
using update::kMaxSums;
using update::kNoRule;
using update::kStatistics;
using update::Row;

}  // namespace

// Cuts the rows into chunks, device by device.
void UpdateTable::cut() {
  parts_.clear();
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    if (entry.planned <= 0) continue;
    Part* part = nullptr;
    for (Part& candidate : parts_) {
      if (candidate.device == entry.device && candidate.by_host == entry.by_host) {
        part = &candidate;
      }
    }
    if (!part) {
      part = &parts_.emplace_back();
      part->device = entry.device;
      part->by_host = entry.by_host;
      part->starts.push_back(0);
    }
    append_chunks(part->chunks, part->starts, static_cast<std::int32_t>(i), entry.planned);
  }
  changed_ = false;
}

Batch UpdateTable::batch(const Part& part) const {
  return {rows_.data(),
          part.chunks.data(),
          part.starts.data(),
          static_cast<std::int64_t>(rows_.size()),
          static_cast<std::int64_t>(part.chunks.size()),
          const_cast<double*>(part.statistics.data())};
}

std::int64_t UpdateTable::work() const {
  std::int64_t sum = 0;
  for (const Part& part : parts_) sum += part.starts.back();
  return sum;
}

void UpdateTable::pin() {
  running_ = true;  // before the lock is let go, and until `finish`, which has it again
  for (const Entry& entry : entries_) {
    if (entry.planned <= 0) continue;
    pinned_.push_back(entry.param->data().storage());
    if (!entry.param->grad().defined()) continue;  // zeros of our own
    pinned_.push_back(entry.param->grad().array().storage());
    for (int i = 0; i < kMaxRuleStates; ++i) {
      const StoredState& state = entry.rule->stored_state(i);
      if (state.values.defined()) pinned_.push_back(state.values.storage());
      if (state.is_coded()) pinned_.push_back(state.scales.storage());
    }
    if (const Array& master = entry.rule->master(); master.defined()) {
      pinned_.push_back(master.storage());
    }
  }
}

// In the order of the rows, whichever part they are in.
double UpdateTable::sum_of_parts() const {
  double sum = 0;
  std::vector<std::size_t> at(parts_.size());
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    for (std::size_t k = 0; k < parts_.size(); ++k) {
      const Part& part = parts_[k];
      while (at[k] < part.chunks.size() && static_cast<std::size_t>(part.chunks[at[k]].row) == i) {
        sum += part.partial[at[k]++];
      }
    }
  }
  return sum;
}

// The factors of steps that bound the norm of all gradients: each sees what those before it
// left.
void UpdateTable::find_norms() {
  if (half_ == UpdateOptions::Half::rest && factors_.size() == norms_.size()) {
    for (std::size_t i = 0; i < norms_.size(); ++i) {
      program_[static_cast<std::size_t>(norms_[i].first)].a = factors_[i];
    }
    return;
  }
  factors_.clear();
  for (const auto& [place, greatest] : norms_) {
    double sum = 0;
    for (Part& part : parts_) {
      part.partial.resize(part.chunks.size());
      sum += sum_squares(part.device, batch(part), place, part.partial.data());
    }
    if (parts_.size() > 1) sum = sum_of_parts();
    const double norm = std::sqrt(sum);
    program_[static_cast<std::size_t>(place)].a =
        norm > greatest || norm != norm ? greatest / norm : 1;
    factors_.push_back(program_[static_cast<std::size_t>(place)].a);
  }
}

// Brings programs into the form that costs nothing, where they have it.
void UpdateTable::fuse_programs() {
  if (!needs_.programs) return;
  update::FusedProgram shared = no_program();
  const bool fuses = fuse(shared, program_.data(), static_cast<int>(program_.size()));
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    Row& row = rows_[i];
    row.fused = update::Fused::none;
    if (entries_[i].planned <= 0 || !row.programmed || row.write_grad || row.rule == kNoRule) {
      continue;
    }
    row.program = shared;
    if (fuses && fuse(row.program, row.own_steps, row.own_count)) row.fused = form_of(row.program);
  }
}

// First sweep of the rules that look at whole tensors.
void UpdateTable::measure() {
  if (!needs_.sums) return;
  std::vector<Measured> measured(entries_.size());
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].planned < 0 || rows_[i].sums == 0 || rows_[i].skip) continue;
    measured[i].size = rows_[i].size;
  }
  for (Part& part : parts_) {
    part.partial.assign(part.chunks.size() * kMaxSums, 0);
    run_measure(part.device, batch(part), part.partial.data());
    for (std::size_t c = 0; c < part.chunks.size(); ++c) {
      const auto row = static_cast<std::size_t>(part.chunks[c].row);
      for (std::size_t k = 0; k < kMaxSums; ++k) {
        measured[row].sums[k] += part.partial[c * kMaxSums + k];
      }
    }
  }
  refine(measured);
}

// The coefficients that depend on sums.
void UpdateTable::refine(const std::vector<Measured>& measured) {
  std::unordered_map<std::int16_t, Measured> together;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (measured[i].size >= 0) together[rows_[i].rule].add(measured[i]);
  }
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (measured[i].size < 0) continue;
    Entry& entry = entries_[i];
    Row& row = rows_[i];
    const UpdateRule::Resolved& resolved = entry.rule->resolved();
    const Measured& own = resolved.variant->shared_sums ? together[row.rule] : measured[i];
    const std::int64_t t = entry.rule->t + (entry.counts ? 1 : 0);
    resolved.variant->refine(resolved.values, {t, entry.scalars, &powers_}, own.size, own.sums,
                             row.coefs);
  }
}

void UpdateTable::take_statistics() {
  if (!needs_.statistics) return;
  for (const Entry& entry : entries_) {
    const Row& row = rows_[static_cast<std::size_t>(&entry - entries_.data())];
    if (entry.planned < 0 || !row.observed || !runs_now(entry.by_host)) continue;
    std::fill_n(entry.rule->statistics, kStatistics, 0.0);
    entry.rule->observed_at = entry.rule->t + (entry.counts ? 1 : 0);
  }
  for (const Part& part : parts_) {
    if (part.statistics.empty()) continue;
    for (std::size_t c = 0; c < part.chunks.size(); ++c) {
      const auto i = static_cast<std::size_t>(part.chunks[c].row);
      if (!rows_[i].observed || rows_[i].skip) continue;
      double* out = entries_[i].rule->statistics;
      const double* in = &part.statistics[c * kStatistics];
      for (int k = 0; k < kStatistics; ++k) {
        out[k] = k == update::kMaxAbs ? std::max(out[k], in[k]) : out[k] + in[k];
      }
    }
  }
}

void UpdateTable::put_rows_back() {
  for (const auto& [place, row] : replaced_) rows_[place] = row;
  replaced_.clear();
}

void UpdateTable::let_scratch_go() {
  if (!needs_.scratch) return;
  for (Entry& entry : entries_) entry.seen = entry.direction = entry.update = entry.zeros = {};
}

void UpdateTable::run() {
  running_ = true;
  try {
    if (asks_) {
      decide();
      hold_back();
    }
    find_norms();
    if (runs_now(false)) {
      if (needs_.directions) direct();
      if (needs_.masks) restrain();
    }
    fuse_programs();
    if (runs_now(false)) measure();
    for (Part& part : parts_) {
      part.statistics.clear();
      if (!runs_now(part.by_host)) continue;
      const auto is_observed = [&](const update::Chunk& c) {
        return rows_[static_cast<std::size_t>(c.row)].observed;
      };
      const bool observed =
          needs_.statistics && std::any_of(part.chunks.begin(), part.chunks.end(), is_observed);
      part.statistics.resize(observed ? part.chunks.size() * kStatistics : 0);
      run_update(part.device, batch(part));
    }
    take_statistics();
  } catch (...) {
    put_rows_back();
    let_scratch_go();
    running_ = false;
    abandon();
    throw;
  }
  put_rows_back();
}

// Counts the step; false where arrays have to be let go, or the rule may be that of others too,
// which is for the thread that holds the host language's lock.
bool UpdateTable::count(Entry& entry, bool alone) {
  if (entry.by_host && !alone) return false;
  UpdateRule& rule = *entry.rule;
  if (entry.held) {
    ++rule.skipped;
    return true;
  }
  if (!entry.steps) return true;
  // A copy that an update goes past is behind its parameter from then on.
  const bool copied = rule.fp32_update && is_half(entry.param->data().dtype());
  const bool lets_go = entry.counts && entry.mastered && !copied;
  if (lets_go && !alone) return false;
  if (lets_go) rule.set_master({});
  if (entry.counts) {
    rule.count();
    rule.updated = true;
  }
  if (entry.scales) std::copy_n(entry.scalars, rule.algorithm()->scalars.size(), rule.scalars);
  return true;
}

void UpdateTable::finish() {
  running_ = false;
  for (const Detour& detour : detours_) {
    if (detour.back) copy_into(detour.original, detour.copy);
  }
  detours_.clear();
  pinned_.clear();
  if (!commits_) return;
  if (clears_) clear_gradients(true);
  fresh_.clear();
  told_.clear();
  let_scratch_go();
  decided_ = false;
  std::atomic<bool> left{false};
  parallel_for(size(), table::kRowsPerThread, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      Entry& entry = entries_[static_cast<std::size_t>(i)];
      entry.counted = count(entry, false);
      if (!entry.counted) left = true;
    }
  });
  if (!left) return;
  for (Entry& entry : entries_) {
    if (!entry.counted) count(entry, true);
  }
}

void UpdateTable::update(const UpdateOptions& options) {
  prepare(options);
  run();
  finish();
}

void UpdateTable::settle() {
  if (!timed_) return;
  for (const Entry& entry : entries_) {
    if (!entry.rule->enabled_when()) continue;
    // What has no finite number is refused by the next update.
    entry.rule->refresh_enabled();
    if (freezes_) entry.param->set_frozen(!entry.rule->enabled);
  }
}

std::vector<std::string> UpdateTable::nonfinite_gradients(bool disabled_too) {
  UpdateOptions options;
  options.inspect = true;
  options.chainer_order = disabled_too;
  prepare(options);
  std::vector<std::string> paths;
  for (Part& part : parts_) {
    part.partial.resize(part.chunks.size());
    if (std::isfinite(sum_squares(part.device, batch(part), 0, part.partial.data()))) continue;
    std::int32_t last = -1;
    for (std::size_t i = 0; i < part.chunks.size(); ++i) {
      const std::int32_t row = part.chunks[i].row;
      if (row == last || std::isfinite(part.partial[i])) continue;
      paths.push_back(entries_[static_cast<std::size_t>(row)].path);
      last = row;
    }
  }
  return paths;
}

// What a row of the sweep clears, no other row may read after it.
void UpdateTable::keep_shared_gradients() {
  struct Span {
    const std::byte* begin;
    const std::byte* end;
    Row* row;
  };
  std::vector<Span> spans;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const Array& g = entries_[i].gradient();
    if (entries_[i].planned <= 0 || rows_[i].grad != g.raw()) continue;  // or a copy of its own
    spans.push_back({g.raw(), g.raw() + g.size() * item_size(g.dtype()), &rows_[i]});
  }
  std::sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  const Span* longest = nullptr;
  for (const Span& span : spans) {
    if (longest && span.begin < longest->end)
      span.row->clear_grad = longest->row->clear_grad = false;
    if (!longest || span.end > longest->end) longest = &span;
  }
}

void UpdateTable::clear_gradients(bool swept) {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    VariableImpl& param = *entries_[i].param;
    if (!param.grad().defined()) continue;
    if (swept && entries_[i].planned > 0 && rows_[i].clear_grad) continue;
    const Array& g = param.grad().array();
    if (g.writeable()) {
      fill(g, 0);
    } else {
      param.set_grad(Variable(filled(g.shape(), g.dtype(), g.device(), 0)));
    }
  }
}

void UpdateTable::fill_missing_gradients() {
  for (const Entry& entry : entries_) {
    const Array& data = entry.param->data();
    if (!data.defined() || entry.param->grad().defined()) continue;
    entry.param->set_grad(Variable(filled(data.shape(), data.dtype(), data.device(), 0)));
  }
}

}  // namespace chainrule
