#include "chainrule/update/update_table.h"

#include <algorithm>
#include <atomic>

#include "chainrule/backend/elementwise.h"
#include "chainrule/core/error.h"

namespace chainrule {
namespace {

std::atomic<std::int64_t> structure{0};

}  // namespace

std::int64_t structure_version() { return structure.load(std::memory_order_relaxed); }
void structure_changed() { structure.fetch_add(1, std::memory_order_relaxed); }

void UpdateTable::clear() {
  entries_.clear();
  rows_.clear();
  parts_.clear();
  known_.clear();
  shares_ = false;
  changed_ = true;
}

void UpdateTable::add(Ref<VariableImpl> param,
                      Ref<UpdateRule> rule,
                      std::string path,
                      bool by_host) {
  if (!known_.insert(param.get()).second) return;
  if (!by_host && !known_.insert(rule.get()).second) {
    throw ValueError(cat("[update] ", path,
                         " has the rule of another parameter, but rules keep states: make one "
                         "for each"));
  }
  if (clock_) rule->set_clock(clock_);
  if (rule->enabled_when()) timed_ = true;
  shares_ |= !by_host && rule->algorithm() && rule->algorithm()->shares_sums();
  Entry entry{};
  entry.param = std::move(param);
  entry.rule = std::move(rule);
  entry.path = std::move(path);
  entry.by_host = by_host;
  entries_.push_back(std::move(entry));
  rows_.emplace_back();
  changed_ = true;
}

// A contiguous array's memory, or that of a contiguous copy.
void* UpdateTable::memory_of(const Array& array, bool back) {
  if (array.is_contiguous()) return array.raw();
  detours_.push_back({array, copied(array), back});
  return detours_.back().copy.raw();
}

void UpdateTable::prepare(const UpdateOptions& options) {
  if (running_) {
    throw Error("[update] this optimizer is updating in another thread at this moment");
  }
  try {
    plan(options);
  } catch (...) {
    changed_ = true;
    abandon();
    throw;
  }
}

void UpdateTable::abandon() {
  if (running_) return;  // they belong to the step of another thread
  std::for_each(fresh_.rbegin(), fresh_.rend(), [](const Fresh& fresh) { fresh.take_back(); });
  fresh_.clear();
  std::for_each(told_.rbegin(), told_.rend(), [](const Told& told) { told.take_back(); });
  told_.clear();
  decided_ = false;
}

}  // namespace chainrule
