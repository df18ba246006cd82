#pragma once

#include <cstdint>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "chainrule/autograd/variable.h"
#include "chainrule/core/api.h"
#include "chainrule/update/table_rows.h"
#include "chainrule/update/update_options.h"
#include "chainrule/update/update_rule.h"

namespace chainrule {

// Every parameter of an optimizer with its rule, one row each. A step is three calls, so that
// the work can be done without the host language's lock:
//   prepare   checks everything and changes nothing that matters; throws
//   run       the sweep over memory
//   finish    counts
class CHAINRULE_API UpdateTable {
 public:
  UpdateTable() = default;
  // The rules that are added follow this count, which `update` and `settle` do not change.
  explicit UpdateTable(Ref<Clock> clock) : clock_(std::move(clock)) {}

  void clear();
  // `path` names the parameter in errors. A rule that `by_host` runs gets its gradient as the
  // hooks leave it, and is left alone otherwise. A variable that is there already is ignored; a
  // rule that another one has is refused.
  void add(Ref<VariableImpl> param, Ref<UpdateRule> rule, std::string path, bool by_host);
  std::int64_t size() const { return static_cast<std::int64_t>(entries_.size()); }

  void prepare(const UpdateOptions& options);
  // Asks the policies for gradients of the step prepared, ahead of `run`: parameters whose rule
  // does with zeros have them from now on. What is held back stays so in both halves of the step.
  void decide();
  std::vector<std::string> held() const;  // paths of parameters that this step leaves alone
  void run();
  void finish();
  // Takes back what was done to states and scalars for steps prepared and not finished.
  void abandon();
  void update(const UpdateOptions& options);
  // Switches rules on and off for the step that the clock has reached, and their parameters'
  // part in graphs with them. To be called when the update has been counted.
  void settle();

  // Elements that the prepared step touches.
  std::int64_t work() const;
  // Keeps the arrays of the prepared step alive until `finish`, and other threads out: to be
  // called before the host language's lock is let go.
  void pin();
  // Whether a thread is between that and `finish`.
  bool running() const { return running_; }

  // Makes all gradients zeros; but for those that the last sweep has, if it is `swept`.
  void clear_gradients(bool swept);
  // Gives every initialised parameter without a gradient a gradient of zeros.
  void fill_missing_gradients();
  // Paths of the parameters whose gradient is not finite; of disabled ones only if asked for.
  std::vector<std::string> nonfinite_gradients(bool disabled_too);
  // What each bound on the norm of all gradients multiplied them by in the last step.
  const std::vector<double>& norm_factors() const { return factors_; }

 private:
  using Entry = table::Entry;
  using Part = table::Part;
  using Measured = table::Measured;
  using Detour = table::Detour;
  using Needs = table::Needs;
  using Planning = table::Planning;
  using Fresh = table::Fresh;
  using Told = table::Told;

  void plan(const UpdateOptions& options);
  void prefetch(std::size_t i) const;
  std::vector<std::size_t> plan_in_threads(const UpdateOptions& options);
  void plan_familiar_rows(std::int64_t first,
                          std::int64_t last,
                          const UpdateOptions& options,
                          Planning& planning);
  void merge(const Planning& planning);
  void note(Entry& entry,
            const update::Row& row,
            bool takes_part,
            const UpdateOptions& options,
            Planning& planning);
  void let_scratch_go();
  bool count(Entry& entry, bool alone);
  void plan_hosted(Entry& entry);
  Array gradient_of(Entry& entry, bool runs);
  bool plan_row(Entry& entry, update::Row& row, const UpdateOptions& options, Planning& planning);
  bool plan_familiar(Entry& entry,
                     update::Row& row,
                     const UpdateOptions& options,
                     Planning& planning);
  void plan_rule(Entry& entry, update::Row& row, const UpdateOptions& options, Planning& planning);
  void prepare_coefs(Entry& entry,
                     update::Row& row,
                     const UpdateRule::Resolved& resolved,
                     const UpdateOptions& options,
                     Planning& planning);
  void plan_programs(UpdateRule& rule, update::Row& row, double decay_scale);
  void plan_program(const UpdateOptions& options);
  void share_scalars();
  // Whether the prepared step, or half of one, runs these rows.
  bool runs_now(bool by_host) const {
    return half_ == UpdateOptions::Half::both || (half_ == UpdateOptions::Half::hosted) == by_host;
  }
  void cut();
  void find_nonfinite();
  void decide_on_nonfinite();
  void give_zeros();
  void hold_back();
  void keep_shared_gradients();
  double sum_of_parts() const;
  void find_norms();
  void direct();
  void restrain();
  void put_rows_back();
  bool needs_scratch(std::size_t i) const;
  void see_gradients(const std::vector<std::size_t>& places);
  void fuse_programs();
  void measure();
  void refine(const std::vector<Measured>& measured);
  void take_statistics();
  void* memory_of(const Array& array, bool back);
  update::Batch batch(const Part& part) const;

  Ref<Clock> clock_;
  bool checked_ = false;  // some rule has a policy for gradients that are not finite
  bool decided_ = false;  // it is known which rows this step holds back
  bool holds_ = false;    // some are held back
  bool asks_ = false;     // policies count in the prepared step
  bool clears_ = false;   // gradients of zeros are left behind
  bool timed_ = false;    // some rule is or was switched by an expression
  bool freezes_ = true;
  Needs needs_;
  std::vector<Entry> entries_;
  std::vector<update::Row> rows_;  // one per entry
  std::vector<Part> parts_;
  std::vector<Detour> detours_;
  std::vector<Fresh> fresh_;
  std::vector<Told> told_;
  std::vector<Ref<Storage>> pinned_;
  std::vector<std::pair<std::size_t, update::Row>> replaced_;  // rows that are others in the sweep
  std::vector<update::GradientStep> program_;
  std::vector<std::pair<int, double>> norms_;  // steps that wait for a norm; greatest norm
  std::int64_t values_ = -1;                   // version of all hyperparameters in the last plan
  bool same_values_ = false;                   // none was set since then
  int hook_count_ = 0;  // steps of program_ that are seen by disabled parameters
  update::Powers powers_;
  std::unordered_set<const RefCounted*> known_;
  bool shares_ = false;  // there are rules that measure all parameters together
  bool changed_ = true;  // the chunk list is not that of the entries
  bool running_ = false;
  UpdateOptions::Half half_ = UpdateOptions::Half::both;  // of the prepared step
  bool commits_ = true;                                   // the prepared step updates parameters
  std::vector<double> factors_;                           // by place in norms_
};

// Counts changes of which parameters have which rules; whoever keeps a table compares.
CHAINRULE_API std::int64_t structure_version();
CHAINRULE_API void structure_changed();

}  // namespace chainrule
