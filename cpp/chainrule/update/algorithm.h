#pragma once

#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "chainrule/core/api.h"
#include "chainrule/core/ref.h"
#include "chainrule/update/lowering.h"
#include "chainrule/update/name.h"
#include "chainrule/update/plan.h"
#include "chainrule/update/rule.h"

namespace chainrule {

struct TensorRule;

inline constexpr int kMaxFields = 16;
inline constexpr int kMaxScalars = 4;
inline constexpr int kMaxRuleStates = 8;  // what a rule for whole tensors may keep

// A rule as the host sees it: names and functions. It comes from update/rules/, where structs of
// one name are variants of one algorithm, or was traced (update/traced.h). Never changes once
// made; whoever points to it keeps it alive.
struct CHAINRULE_API Algorithm : RefCounted {
  struct Variant {
    std::int16_t rule;                // place in update::Rules, or kTracedRule
    std::vector<std::int8_t> states;  // places in Algorithm::states
    int coef_count;
    bool constant;      // coefficients depend on the values alone
    bool uses_scalars;  // they depend on the rule's scalars, or change them
    std::function<bool(const double* values)> selected;
    std::function<void(const double* values, const update::Step& step, double* coefs)> prepare;
    // Of a rule that measures: how many sums, over all parameters together or not, and what
    // makes coefficients of them.
    std::int16_t sums;
    bool shared_sums;
    void (*refine)(const double* values,
                   const update::Step& step,
                   std::int64_t size,
                   const double* sums,
                   double* coefs);
    // Whether the update is `keep p + d`, where d does not look at p, and the place of `keep`
    // among the coefficients; -1 where it is one.
    bool additive;
    int keep;
    Ref<const LoweredRule> lowered;  // of a traced rule
  };
  struct State {
    std::string name;
    double initial;       // or update::kParameter
    bool square = false;  // sums of squares: need twice the decades in 8 bits
  };

  std::string name;
  std::vector<update::Field> fields;
  std::vector<Name> field_names;
  std::vector<State> states;
  std::vector<std::string> scalars;
  void (*begin)(const double* values, double* scalars) = nullptr;
  std::vector<Variant> variants;
  // Makes the direction of a whole tensor; null where the sweep does it all. Its states follow
  // those of the variants.
  const TensorRule* tensor = nullptr;
  int first_tensor_state = 0;

  const Variant& variant(const double* values) const;
  // Place of a state, -1 where there is none of that name.
  int find_state(std::string_view state) const;
  int find_field(Name field) const;
  // Whether a variant measures its parameter.
  bool measures() const;
  // Whether a variant measures all of its parameters together.
  bool shares_sums() const;
  std::vector<std::string> known_fields() const;
};

// All built-in algorithms, in the order of update/rule_list.h.
CHAINRULE_API const std::deque<Algorithm>& algorithms();
// Throws a KeyError that names the nearest.
CHAINRULE_API const Algorithm& find_algorithm(std::string_view name);

}  // namespace chainrule
