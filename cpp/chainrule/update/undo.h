#pragma once

#include <cstdint>
#include <vector>

#include "chainrule/autograd/variable.h"
#include "chainrule/core/api.h"
#include "chainrule/update/update_rule.h"

namespace chainrule {

// Copies of what an update changes, taken before user code has a part in one: where that code
// fails, everything is put back, in the arrays that were there.
class CHAINRULE_API Undo {
 public:
  // Remembers a parameter's gradient; unless `gradient_only`, its data too, and states, count
  // and master copy of its rule, which may be null.
  void keep(Ref<VariableImpl> param, Ref<UpdateRule> rule, bool gradient_only);
  // May be called again: later changes are undone too.
  void restore() const;

 private:
  struct Copy {
    Array original;
    Array contents;  // undefined where nobody can write
  };
  struct Kept {
    Ref<VariableImpl> param;
    Ref<UpdateRule> rule;  // null where only the gradient is kept
    Variable grad;
    Copy grad_copy;
    Copy data;
    std::int64_t t = 0;
    std::int64_t skipped = 0;
    double scalars[kMaxScalars] = {};
    Copy states[kMaxRuleStates];
    Copy scales[kMaxRuleStates];
    Copy master;
    bool gradient_only = false;
  };

  static Copy copy_of(const Array& array);
  static const Array& restored(const Copy& copy);

  std::vector<Kept> kept_;
};

}  // namespace chainrule
