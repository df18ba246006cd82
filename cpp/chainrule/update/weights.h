#pragma once

#include <string>
#include <vector>

#include "chainrule/autograd/variable.h"
#include "chainrule/core/api.h"
#include "chainrule/update/update_rule.h"

// What hooks do to weights beside the update, for many parameters in one pass.
namespace chainrule {

// A parameter, its rule (which may have a master copy), and an array of the hook's own: of the
// parameter's shape, contiguous, float64 for a float64 parameter and float32 otherwise.
struct HookedWeight {
  Ref<VariableImpl> param;
  Ref<UpdateRule> rule;
  Array own;
};

// Raises where an array does not fit its parameter; the two below do so, too, before anything else.
CHAINRULE_API void check_weights(const std::string& op, const std::vector<HookedWeight>& weights);

// Both pass over parameters that the last update left alone.
// own += rate (p - own)
CHAINRULE_API void average_weights(const std::vector<HookedWeight>& weights, double rate);
// own += alpha (p - own), and p = own
CHAINRULE_API void look_ahead(const std::vector<HookedWeight>& weights, double alpha);

// p += rho g / |g|, with the norm of all gradients together, until they are put back. Where the
// norm is zero or not finite nothing moves.
class CHAINRULE_API Perturbation {
 public:
  Perturbation(const std::vector<Ref<VariableImpl>>& params, double rho);
  // The very same bits as before, in the same memory, and where the parameter is now.
  void restore();

 private:
  struct Saved {
    Ref<VariableImpl> param;
    Array memory;
    Array values;  // that were there
  };
  std::vector<Saved> saved_;
};

}  // namespace chainrule
