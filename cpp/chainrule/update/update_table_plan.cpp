#include <algorithm>
#include <mutex>
#include <numeric>
#include <unordered_map>

#include "chainrule/backend/parallel.h"
#include "chainrule/core/error.h"
#include "chainrule/update/update_table.h"

// Before a step: the walk over all rows (update_table_row.cpp), in threads where most are familiar.
namespace chainrule {
namespace {

using update::Row;

// Asks for the memory from `begin` to `end`.
void ask_for(const void* begin, const void* end) {
  for (auto at = static_cast<const char*>(begin); at < end; at += 64) __builtin_prefetch(at);
}

}  // namespace

// What rules that measure together have found is known to them all, also to one that is new or
// that had no gradient for a while: the one with the most updates tells it.
void UpdateTable::share_scalars() {
  std::unordered_map<const Algorithm*, const UpdateRule*> leaders;
  const auto shares = [](const Entry& entry) {
    return !entry.by_host && entry.rule->algorithm() && entry.rule->algorithm()->shares_sums();
  };
  for (const Entry& entry : entries_) {
    if (!shares(entry)) continue;
    const UpdateRule*& leader = leaders[entry.rule->algorithm()];
    if (!leader || entry.rule->t > leader->t) leader = entry.rule.get();
  }
  for (const Entry& entry : entries_) {
    if (!shares(entry)) continue;
    const UpdateRule& leader = *leaders[entry.rule->algorithm()];
    if (std::equal(std::begin(leader.scalars), std::end(leader.scalars), entry.rule->scalars)) {
      continue;
    }
    told_.push_back({entry.rule, std::to_array(entry.rule->scalars)});
    std::copy(std::begin(leader.scalars), std::end(leader.scalars), entry.rule->scalars);
  }
}

// Thousands of rules, variables, gradients and their memory lie all over: what entry i needs is
// asked for in time, one link of the chain after the other.
void UpdateTable::prefetch(std::size_t i) const {
  constexpr std::size_t kLink = 4;
  const auto entry = [&](std::size_t links) -> const Entry* {
    const std::size_t place = i + links * kLink;
    return place < entries_.size() ? &entries_[place] : nullptr;
  };
  if (const Entry* farthest = entry(4)) {
    ask_for(farthest, &farthest->scalars);
  }
  if (const Entry* far = entry(3)) {
    ask_for(far->rule.get(), &far->rule->resolved().variant);
    __builtin_prefetch(far->param.get());
    __builtin_prefetch(far->param->data().shape().data());
  }
  if (const Entry* middle = entry(2); middle && middle->param->grad().defined()) {
    const VariableImpl* grad = middle->param->grad().impl().get();
    __builtin_prefetch(grad);
    __builtin_prefetch(grad->data().shape().data());
  }
  if (const Entry* near = entry(1); near && near->param->grad().defined()) {
    __builtin_prefetch(near->param->grad().array().storage().get());
  }
}

// Counts a planned entry in.
void UpdateTable::note(Entry& entry,
                       const Row& row,
                       bool takes_part,
                       const UpdateOptions& options,
                       Planning& planning) {
  const UpdateRule& rule = *entry.rule;
  if (entry.takes_part && rule.lent) {
    throw Error(
        cat("[update] ", entry.path, " holds its average: leave the block of averaged() first"));
  }
  const std::int64_t planned = takes_part ? row.size : -1;
  planning.changed |= planned != entry.planned;
  entry.planned = planned;
  if (takes_part) planning.needs.add(rule, row);
  planning.checked |=
      entry.takes_part && rule.policies().on_nonfinite != Policies::OnNonfinite::ignore;
  if (asks_ && half_ != UpdateOptions::Half::rest && !options.counted) entry.rule->updated = false;
}

// Plans entries first..last as far as their rows need little, and tells which do not, or throw.
void UpdateTable::plan_familiar_rows(std::int64_t first,
                                     std::int64_t last,
                                     const UpdateOptions& options,
                                     Planning& planning) {
  for (auto i = static_cast<std::size_t>(first); i < static_cast<std::size_t>(last); ++i) {
    prefetch(i);
    Entry& entry = entries_[i];
    bool done = false;
    if (entry.familiar && !entry.rule->enabled_when()) {
      try {
        done = plan_familiar(entry, rows_[i], options, planning);
        if (done) note(entry, rows_[i], true, options, planning);
      } catch (...) {
        done = false;  // the other entries' errors may come first
      }
    }
    if (!done) planning.left.push_back(i);
  }
}

// The entries that threads cannot plan side by side, or all of them.
std::vector<std::size_t> UpdateTable::plan_in_threads(const UpdateOptions& options) {
  std::vector<std::size_t> left;
  if (!options.bare()) {
    left.resize(entries_.size());
    std::iota(left.begin(), left.end(), std::size_t{0});
    return left;
  }
  std::mutex mutex;
  parallel_for(size(), table::kRowsPerThread, [&](std::int64_t first, std::int64_t last) {
    Planning planning;
    plan_familiar_rows(first, last, options, planning);
    const std::lock_guard lock(mutex);
    merge(planning);
    left.insert(left.end(), planning.left.begin(), planning.left.end());
  });
  std::sort(left.begin(), left.end());
  return left;
}

void UpdateTable::merge(const Planning& planning) {
  needs_.add(planning.needs);
  changed_ |= planning.changed;
  checked_ |= planning.checked;
}

void UpdateTable::plan(const UpdateOptions& options) {
  detours_.clear();
  checked_ = false;
  freezes_ = !options.chainer_order;
  half_ = options.half;
  asks_ = !options.gradients_only && !options.inspect;
  commits_ = asks_ && half_ != UpdateOptions::Half::hosted;
  plan_program(options);
  const std::int64_t values = values_version();
  same_values_ = values == values_;
  if (shares_ && asks_) share_scalars();
  Planning planning;
  for (const std::size_t i : plan_in_threads(options)) {
    Entry& entry = entries_[i];
    if (entry.rule->enabled_when()) [[unlikely]] {
      entry.rule->require_enabled(entry.path);
      timed_ = true;
    }
    const Device before = entry.device;
    const bool takes_part = plan_row(entry, rows_[i], options, planning);
    planning.changed |= !(before == entry.device);
    note(entry, rows_[i], takes_part, options, planning);
  }
  merge(planning);
  if (options.bare()) values_ = values;  // every row that takes part was looked up
  if (changed_) cut();
  clears_ = options.clear_gradients && asks_;
  if (clears_) keep_shared_gradients();
}

}  // namespace chainrule
