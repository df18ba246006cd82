#pragma once

#include <string>
#include <utility>
#include <vector>

#include "chainrule/core/api.h"
#include "chainrule/core/ref.h"
#include "chainrule/update/algorithm.h"
#include "chainrule/update/rule_expression.h"

namespace chainrule {

// What makes an algorithm at run time.
struct CHAINRULE_API TracedRule {
  struct Field {
    std::string name;
    double value;
    update::FieldKind kind;
  };
  // The rule for some values of its switches.
  struct Variant {
    std::vector<std::pair<int, bool>> switches;  // place of a field, what it is
    std::vector<int> states;                     // places: those that `expression` has
    RuleExpression expression;
  };

  std::string name;
  std::vector<Field> fields;
  std::vector<Algorithm::State> states;
  std::vector<Variant> variants;
};

// An algorithm like a built-in one: the table runs it among the others. Throws a ValueError where
// the rule is not well formed.
CHAINRULE_API Ref<const Algorithm> make_algorithm(const TracedRule& rule);

}  // namespace chainrule
