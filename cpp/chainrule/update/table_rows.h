#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "chainrule/autograd/variable.h"
#include "chainrule/update/update_rule.h"

// What an UpdateTable is made of.
namespace chainrule::table {

// Rows below which a second thread does not pay.
inline constexpr std::int64_t kRowsPerThread = 512;

struct Entry {
  // What the plan of a familiar row looks at stands together, in front.
  Ref<VariableImpl> param;
  Ref<UpdateRule> rule;
  bool by_host;
  bool counts = false;      // this step is an update of the rule
  bool steps = false;       // the rule runs
  bool scales = false;      // the scalars of this step are kept
  bool takes_part = false;  // the rule runs, here or in the host language
  bool held = false;        // but for its gradient, or that of another
  bool mastered = false;    // the rule has a float32 copy, needed or not
  bool counted = true;      // nothing of the step is left to count
  // What the row was filled from: where all of it is still so, a new gradient and new
  // coefficients are all that it needs.
  bool familiar = false;
  Device device{};
  std::int64_t planned = -1;  // elements in the chunk list
  std::int64_t revision = 0;
  std::int64_t version = 0;
  const Algorithm::Variant* variant = nullptr;
  std::byte* raw = nullptr;
  Ref<Storage> storage;
  Shape shape;
  double scalars[kMaxScalars];
  std::string path;
  Array zeros;  // the gradient of this step, where there was none
  const Array& gradient() const { return param->grad().defined() ? param->grad().array() : zeros; }
  // During the step: the gradient as the hooks leave it, what a rule for whole tensors makes of
  // it, and the update of a cautious rule.
  Array seen;
  Array direction;
  Array update;
};
// The coefficients that were prepared last, and what from.
struct Prepared {
  static constexpr int kTries = 8;  // where this many rules differ in a row, others will
  const Algorithm::Variant* variant = nullptr;  // null: none
  int missed = 0;
  std::int64_t t = 0;
  double values[kMaxFields];
  double coefs[update::kMaxCoefs];

  bool is_of(const UpdateRule::Resolved& resolved, std::size_t fields, std::int64_t at) {
    if (missed >= kTries || variant != resolved.variant || t != at ||
        std::memcmp(values, resolved.values, fields * sizeof(double)) != 0) {
      return false;
    }
    missed = 0;
    return true;
  }
  void keep(const UpdateRule::Resolved& resolved, const double* found, std::int64_t at) {
    if (++missed >= kTries) return;
    variant = resolved.variant;
    t = at;
    std::copy_n(resolved.values, kMaxFields, values);
    std::copy_n(found, variant->coef_count, coefs);
  }
};
// What one device is handed.
struct Part {
  Device device;
  bool by_host;
  std::vector<update::Chunk> chunks;
  std::vector<std::int64_t> starts;
  std::vector<double> partial;     // per chunk: sums of squares, or what rules measure
  std::vector<double> statistics;  // per chunk, where a row is observed
};
// What a first sweep found in one row; size -1 where the row measures nothing.
struct Measured {
  std::int64_t size = -1;
  double sums[update::kMaxSums] = {};

  void add(const Measured& other) {
    size = (size < 0 ? 0 : size) + other.size;
    for (int k = 0; k < update::kMaxSums; ++k) sums[k] += other.sums[k];
  }
};
// Arrays that are not contiguous are worked on in a copy.
struct Detour {
  Array original;
  Array copy;
  bool back;
};

// What some row of the prepared step needs beyond the sweep; where none does, nobody looks
// through thousands of rows for it.
struct Needs {
  bool programs = false;    // a gradient's program
  bool sums = false;        // a first sweep that measures
  bool statistics = false;  // observation
  bool directions = false;  // a rule for whole tensors
  bool masks = false;       // a cautious rule
  bool scratch = false;     // arrays of its own during the step

  void add(const UpdateRule& rule, const update::Row& row) {
    programs |= row.programmed;
    sums |= row.sums > 0;
    statistics |= row.observed;
    masks |= rule.cautious;
    directions |= rule.algorithm() && rule.algorithm()->tensor;
    scratch |= masks || directions;
  }
  void add(const Needs& other) {
    programs |= other.programs;
    sums |= other.sums;
    statistics |= other.statistics;
    directions |= other.directions;
    masks |= other.masks;
    scratch |= other.scratch;
  }
};
// What a thread that plans rows keeps from one to the next, and what it found.
struct Planning {
  Prepared prepared;
  update::Powers powers;
  Needs needs;
  bool changed = false;           // other chunks than in the step before
  bool checked = false;           // some rule has a policy for gradients that are not finite
  std::vector<std::size_t> left;  // entries that have to be planned by one thread, in order
};

// States that were made or converted for this step, and what was there before.
struct Fresh {
  Ref<UpdateRule> rule;
  int place;
  StoredState before;
  void take_back() const { rule->set_state(place, before.values, before.scales); }
};

// Scalars of a rule that another one has told its own for this step, and what they were before.
struct Told {
  Ref<UpdateRule> rule;
  std::array<double, kMaxScalars> before;
  void take_back() const { std::copy(before.begin(), before.end(), rule->scalars); }
};

}  // namespace chainrule::table
