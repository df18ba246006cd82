#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "chainrule/core/api.h"
#include "chainrule/core/ref.h"
#include "chainrule/core/storage.h"
#include "chainrule/update/algorithm.h"
#include "chainrule/update/clock.h"
#include "chainrule/update/expression.h"
#include "chainrule/update/name.h"

namespace chainrule {

// What a hyperparameter is set to: a number, an expression, or an object of the host language
// that only the user's own rules understand (an object may have a number too, as NumPy's scalars
// do). What an expression is today, `Hyperparameter::evaluate` says; its `number` means nothing.
struct CHAINRULE_API Value {
  enum class Kind : std::uint8_t { real, integer, boolean, object, expression };

  Kind kind = Kind::real;
  bool numeric = true;
  double number = 0;
  HostObject object;
  Ref<Expression> expression = {};
  Name origin = nullptr;  // who set it, in words, where that is worth saying

  static Value real(double number) { return {Kind::real, true, number, {}}; }
  static Value of_field(const update::Field& field);
  static Value of_expression(Ref<Expression> expression);
};

// Named values. What is not set here is looked up in the parent, which is how a change of an
// optimizer's rate reaches every parameter that has no rate of its own.
class CHAINRULE_API Hyperparameter : public RefCounted {
 public:
  static constexpr int kMaxDepth = 64;  // ancestors, itself counted

  // With an algorithm, only the names of its fields can be set.
  explicit Hyperparameter(Ref<Hyperparameter> parent = {}, const Algorithm* strict = nullptr);

  const Ref<Hyperparameter>& parent() const { return parent_; }
  const Algorithm* strict() const { return strict_.get(); }

  // The value here or in the nearest ancestor; null where nobody has it.
  const Value* find(Name name) const;
  // Throws an AttributeError naming the known ones where the name is not one of them, and a
  // ValueError where an expression inherits and there is no parent.
  void set(Name name, Value value);
  // Lets the parent's value be seen again; false where there was none here.
  bool erase(Name name);
  // Every name that can be read, with its value, the farthest ancestor's first.
  std::vector<std::pair<Name, const Value*>> items() const;
  const std::vector<std::pair<Name, Value>>& own() const { return values_; }
  // For the AttributeError of a name that cannot be read.
  std::string unknown(std::string_view name) const;

  // The values that today's number is made of: the nearest first, each but the last with an
  // expression that inherits from the next. Empty where nobody has the name.
  std::vector<const Value*> lineage(Name name) const;
  // Today's number; throws where there is none.
  double evaluate(Name name) const;

  // The count that expressions here follow: its own, or the nearest ancestor's; may be null.
  const Clock* clock() const;
  void set_clock(Ref<Clock> clock) { clock_ = std::move(clock); }
  const Ref<Clock>& own_clock() const { return clock_; }
  std::int64_t step() const {
    const Clock* found = clock();
    return found ? found->step() : 0;
  }

  // Grows with every change here or in an ancestor.
  std::int64_t version() const {
    std::int64_t sum = 0;
    for (const Hyperparameter* h = this; h; h = h->parent_.get()) sum += h->version_;
    return sum;
  }

 private:
  Ref<Hyperparameter> parent_;
  Ref<const Algorithm> strict_;
  std::int64_t version_ = 0;
  Ref<Clock> clock_;
  int depth_ = 1;
  std::vector<std::pair<Name, Value>> values_;
};

// Counts changes of any hyperparameters; whoever keeps what was made of them compares.
CHAINRULE_API std::int64_t values_version();

// The defaults of an algorithm, for a rule without an optimizer.
CHAINRULE_API Ref<Hyperparameter> default_hyperparameter(const Algorithm& algorithm);

}  // namespace chainrule
