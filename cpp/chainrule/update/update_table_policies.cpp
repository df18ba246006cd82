#include <algorithm>
#include <cmath>

#include "chainrule/backend/elementwise.h"
#include "chainrule/backend/transfer.h"
#include "chainrule/core/error.h"
#include "chainrule/update/sweep.h"
#include "chainrule/update/update_table.h"

// What rules do where gradients are not finite, the host's rules as all others: decided before
// anything is changed.
namespace chainrule {
namespace {

using OnNonfinite = Policies::OnNonfinite;

// Squares of float64 numbers may be infinite where the numbers are not.
bool finite_numbers(const Array& array) {
  if (array.dtype() != Dtype::float64) return false;
  const Array here = to_device(as_contiguous(array), {});
  const double* numbers = here.data<double>();
  for (std::int64_t i = 0; i < here.size(); ++i) {
    if (!std::isfinite(numbers[i])) return false;
  }
  return true;
}

}  // namespace

// Costs one look at the gradients of rules that have a policy, one pass per device.
void UpdateTable::find_nonfinite() {
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    if (!entry.takes_part || entry.rule->policies().on_nonfinite == OnNonfinite::ignore) continue;
    if (is_floating(entry.gradient().dtype())) places.push_back(i);
  }
  while (!places.empty()) {
    const Device device = entries_[places.front()].gradient().device();
    const auto rest = std::stable_partition(places.begin(), places.end(), [&](std::size_t i) {
      return entries_[i].gradient().device() == device;
    });
    std::vector<Array> gradients;
    std::vector<update::Row> rows;
    for (auto at = places.begin(); at != rest; ++at) {
      const Array& g = gradients.emplace_back(as_contiguous(entries_[*at].gradient()));
      rows.push_back(row_of(g.raw(), g.dtype(), g.size()));
    }
    const std::vector<double> sums = sums_of_squares(device, rows);
    for (std::size_t k = 0; k < sums.size(); ++k) {
      entries_[places[k]].held = !std::isfinite(sums[k]) && !finite_numbers(gradients[k]);
    }
    places.erase(places.begin(), rest);
  }
}

void UpdateTable::decide() {
  if (decided_) return;
  decided_ = true;
  if (holds_) {
    for (Entry& entry : entries_) entry.held = false;
  }
  holds_ = false;
  if (needs_.scratch && !running_) give_zeros();
  if (checked_) decide_on_nonfinite();
}

// Gradients of zeros that rules do with, for whoever looks at them before the sweep.
void UpdateTable::give_zeros() {
  for (Entry& entry : entries_) {
    if (entry.zeros.defined() && !entry.param->grad().defined()) {
      entry.param->set_grad(Variable(entry.zeros));
    }
  }
}

void UpdateTable::decide_on_nonfinite() {
  find_nonfinite();
  bool skip_step = false;
  for (const Entry& entry : entries_) {
    if (!entry.held) continue;
    holds_ = true;
    const OnNonfinite policy = entry.rule->policies().on_nonfinite;
    if (policy == OnNonfinite::raise) {
      throw ValueError(cat("[update] ", entry.path,
                           ": the gradient is not finite, and its rule's on_nonfinite is 'raise'; "
                           "nothing was updated"));
    }
    skip_step |= policy == OnNonfinite::skip_step;
  }
  if (!skip_step) return;
  for (Entry& entry : entries_) entry.held = entry.takes_part;
}

std::vector<std::string> UpdateTable::held() const {
  std::vector<std::string> paths;
  for (const Entry& entry : entries_) {
    if (decided_ && entry.held) paths.push_back(entry.path);
  }
  return paths;
}

// Takes the rows out of the sweep, and the states back that were made for them. Their statistics
// stay those of the last update.
void UpdateTable::hold_back() {
  if (!holds_) return;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (!entries_[i].held) continue;
    rows_[i].skip = true;
    rows_[i].observed = false;
    entries_[i].counts = false;
    for (const Fresh& fresh : fresh_) {
      if (fresh.rule.get() == entries_[i].rule.get()) fresh.take_back();
    }
  }
}

}  // namespace chainrule
