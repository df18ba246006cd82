#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "chainrule/core/api.h"
#include "chainrule/core/array.h"
#include "chainrule/core/ref.h"
#include "chainrule/update/algorithm.h"
#include "chainrule/update/gradient_hook.h"
#include "chainrule/update/hyperparameter.h"

namespace chainrule {

// How one parameter is updated: the algorithm, its values, its state, its hooks, on or off.
class CHAINRULE_API UpdateRule : public RefCounted {
 public:
  // Without an algorithm the host language does the update.
  UpdateRule(const Algorithm* algorithm, Ref<Hyperparameter> hyperparam);
  // Takes down what the rule remembers of its first values; to be called when they are set.
  void begin();

  const Algorithm* algorithm() const { return algorithm_; }
  const Ref<Hyperparameter>& hyperparam() const { return hyperparam_; }
  void set_hyperparam(Ref<Hyperparameter> hyperparam);

  std::int64_t t = 0;  // updates so far
  bool enabled = true;
  bool fp32_update = false;  // half-precision parameters get a float32 master copy
  std::vector<Ref<GradientHook>> hooks;

  // The hyperparameters as numbers, in the order of the algorithm's fields; looked up only
  // when one changed. Throws where one is missing, no number or not finite; `label` names the
  // parameter in errors.
  struct Resolved {
    double values[kMaxFields];
    const Algorithm::Variant* variant;
    bool vanishing;  // a value that must not is zero in float32
  };
  const Resolved& resolve(const std::string& label);
  // Version of the hyperparameters when they were last looked up.
  std::int64_t version() const { return version_; }

  // States by place in the algorithm's list; undefined until the first update.
  const Array& state(int place) const { return states_[place]; }
  void set_state(int place, Array state);
  // Grows when a state is replaced.
  std::int64_t revision() const { return revision_; }
  bool has_states() const;
  void clear_states();
  // Makes what the variant needs and is not there yet, for a parameter like `param`. Throws
  // where a state is there and does not fit.
  void prepare_states(const Algorithm::Variant& variant,
                      const Array& param,
                      Dtype dtype,
                      const std::string& label);
  // The float32 copy of a half-precision parameter, made when first asked for.
  const Array& master(const Array& param);
  // The copy as it is; undefined where none was made yet.
  const Array& kept_master() const { return master_; }
  void set_master(Array master) { master_ = std::move(master); }

  double scalars[kMaxScalars] = {};
  // What the last update of an observed rule summed up (update/plan.h: Statistic), and the number
  // of that update; 0 where there is none.
  bool observed = false;
  double statistics[update::kStatistics] = {};
  std::int64_t observed_at = 0;
  // The steps of `hooks`, rewritten at each update.
  std::vector<update::GradientStep> program;

 private:
  void look_up(const std::string& label);

  std::int64_t revision_ = 0;
  std::int64_t version_ = -1;
  Ref<Hyperparameter> hyperparam_;
  const Algorithm* algorithm_;
  Resolved resolved_{};
  Array states_[update::kMaxStates];
  Array master_;
};

}  // namespace chainrule
