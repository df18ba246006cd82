#include "chainrule/update/name.h"

#include <algorithm>
#include <mutex>
#include <numeric>
#include <unordered_set>

namespace chainrule {
namespace {

// Levenshtein's distance: insertions, deletions and replacements.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

Name intern(std::string_view text) {
  static std::mutex mutex;
  static auto* names = new std::unordered_set<std::string>;
  const std::lock_guard lock(mutex);
  return &*names->emplace(text).first;
}

std::string nearest(std::string_view text, const std::vector<std::string>& known) {
  std::string best;
  std::size_t least = std::max<std::size_t>(2, text.size() / 2) + 1;
  for (const std::string& name : known) {
    if (const std::size_t d = distance(text, name); d < least) {
      least = d;
      best = name;
    }
  }
  return best;
}

std::string suggestion(std::string_view text, const std::vector<std::string>& known) {
  std::string out;
  if (const std::string near = nearest(text, known); !near.empty()) {
    out += "; did you mean '" + near + "'?";
  }
  out += out.empty() ? "; known: " : " Known: ";
  for (const std::string& name : known) out += (&name == &known.front() ? "" : ", ") + name;
  return out;
}

}  // namespace chainrule
