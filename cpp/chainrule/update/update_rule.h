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
#include "chainrule/update/policies.h"
#include "chainrule/update/state_dtype.h"

namespace chainrule {

// How one parameter is updated: the algorithm, its values, its state, its hooks, on or off.
class CHAINRULE_API UpdateRule : public RefCounted {
  // A field whose number depends on the step: expressions, each of which inherits what the one
  // before it gave, the first of them `base`.
  struct Varying {
    std::size_t field;
    double base;
    std::vector<Ref<Expression>> chain;
  };

 public:
  std::int64_t t = 0;        // updates so far
  bool enabled = true;       // today; `enabled_when` says when, where it is set
  bool fp32_update = false;  // half-precision parameters get a float32 master copy
  bool cautious = false;     // only components of the update that go down the gradient count
  bool observed = false;     // updates are summed up in `statistics`
  bool lent = false;         // its parameter holds something else for a while
  bool updated = true;       // by the last update that its parameter had a part in

  // What follows, up to `resolved_`, and what stands above are all that an update of thousands of
  // familiar rows looks at.
  std::vector<Ref<GradientHook>> hooks;

  // The hyperparameters as numbers, in the order of the algorithm's fields.
  struct Resolved {
    double values[kMaxFields];
    const Algorithm::Variant* variant;
    bool vanishing;  // a value that must not is zero in float32
  };

 private:
  std::int64_t revision_ = 0;
  std::int64_t version_ = -1;  // of the hyperparameters when they were last looked up
  std::int64_t resolutions_ = 0;
  Ref<Hyperparameter> hyperparam_;
  Ref<Expression> enabled_when_;
  Ref<Clock> own_clock_;
  std::vector<Varying> varying_;
  Ref<const Algorithm> algorithm_;
  Policies policies_;
  Resolved resolved_{};

 public:
  // Without an algorithm the host language does the update.
  UpdateRule(const Algorithm* algorithm, Ref<Hyperparameter> hyperparam);
  // Takes down what the rule remembers of its first values; to be called when they are set.
  void begin();

  const Algorithm* algorithm() const { return algorithm_.get(); }
  const Ref<Hyperparameter>& hyperparam() const { return hyperparam_; }
  void set_hyperparam(Ref<Hyperparameter> hyperparam);

  // The count of the optimizer that updates the rule. A rule without one counts for itself.
  void set_clock(const Ref<Clock>& clock);
  // What expressions are evaluated at.
  std::int64_t step() const { return hyperparam_->step(); }
  void set_t(std::int64_t updates);
  void count();  // one more update
  // The same for an update by the host language, whose rules see it counted while it is on its
  // way.
  void begin_update();
  void end_update();

  const Ref<Expression>& enabled_when() const { return enabled_when_; }
  // On where the expression is not zero; throws where it inherits.
  void set_enabled(Ref<Expression> when);
  void set_enabled(bool on);
  // Brings `enabled` up to date; false where the number is not finite, and nothing changes then.
  bool refresh_enabled();
  // The same; throws then.
  void require_enabled(const std::string& label);

  const Policies& policies() const { return policies_; }
  void set_policies(const Policies& policies);
  std::int64_t skipped = 0;  // updates left out because of gradients that were not finite

  // Looked up only when a hyperparameter changed, evaluated only when the step is another. Throws
  // where one is missing, no number or not finite; `label` names the parameter in errors.
  const Resolved& resolve(const std::string& label);
  const Resolved& resolved() const { return resolved_; }  // as last resolved
  // Whether a number depends on the step.
  bool varies() const { return !varying_.empty(); }
  // Grows when the numbers are others.
  std::int64_t version() const { return resolutions_; }
  // Throws where an expression has no finite number now; for rules without an algorithm, which
  // read their values in the host language.
  void check_expressions(const std::string& label) const;

  // States by place in the algorithm's list; undefined until the first update.
  const Array& state(int place) const { return states_[place].values; }
  const StoredState& stored_state(int place) const { return states_[place]; }
  void set_state(int place, Array values, Array scales = {});
  // Grows when a state is replaced.
  std::int64_t revision() const { return revision_; }
  bool has_states() const;
  void clear_states();
  // Size of the states that a parameter of this shape, computed on in `natural`, needs.
  std::int64_t state_bytes(const Shape& shape, Dtype natural);
  // Names of the states that a parameter of this shape needs.
  std::vector<std::string> state_names(const Shape& shape);
  // Of a rule that is off: lets the states go, which start anew later.
  void drop_states();
  // Brings the states and the master copy to a device, or leaves them all where they are. What is
  // in the host's memory goes to the parameter's device at the next update.
  void move_states_to(Device device);
  // Bytes of the states that are there.
  std::int64_t state_bytes() const;
  // Makes what the variant needs and is not there yet, for a parameter like `param`. Throws
  // where a state is there and does not fit.
  void prepare_states(const Algorithm::Variant& variant,
                      const Array& param,
                      Dtype dtype,
                      const std::string& label);
  // The float32 copy of a half-precision parameter, made when first asked for, on its device.
  const Array& master(const Array& param);
  const Array& master() const { return master_; }
  void set_master(Array master);

  double scalars[kMaxScalars] = {};
  // What the last update of an observed rule summed up (update/plan.h: Statistic), and the number
  // of that update; 0 where there is none.
  double statistics[update::kStatistics] = {};
  std::int64_t observed_at = 0;
  // The steps of `hooks`, rewritten at each update.
  std::vector<update::GradientStep> program;

 private:
  void count_alone();
  Dtype state_dtype(Dtype natural) const;
  void look_up(const std::string& label);
  void look_up(std::size_t field, const std::string& label);
  void evaluate(const std::string& label);
  void prepare_tensor_states(const Array& param, const std::string& label);

  std::int64_t step_ = 0;  // when the numbers were last evaluated
  StoredState states_[kMaxRuleStates];
  Array master_;
};

}  // namespace chainrule
