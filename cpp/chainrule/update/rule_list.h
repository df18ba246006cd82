#pragma once

#include "chainrule/functors/unary.h"
#include "chainrule/update/rules/ada_belief.h"
#include "chainrule/update/rules/ada_delta.h"
#include "chainrule/update/rules/ada_grad.h"
#include "chainrule/update/rules/adafactor.h"
#include "chainrule/update/rules/adam.h"
#include "chainrule/update/rules/adamax.h"
#include "chainrule/update/rules/ademamix.h"
#include "chainrule/update/rules/adopt.h"
#include "chainrule/update/rules/corrected_momentum_sgd.h"
#include "chainrule/update/rules/lamb.h"
#include "chainrule/update/rules/lars.h"
#include "chainrule/update/rules/lion.h"
#include "chainrule/update/rules/momentum_sgd.h"
#include "chainrule/update/rules/msvag.h"
#include "chainrule/update/rules/muon.h"
#include "chainrule/update/rules/nadam.h"
#include "chainrule/update/rules/nesterov_ag.h"
#include "chainrule/update/rules/prodigy.h"
#include "chainrule/update/rules/radam.h"
#include "chainrule/update/rules/rmsprop.h"
#include "chainrule/update/rules/rmsprop_graves.h"
#include "chainrule/update/rules/rprop.h"
#include "chainrule/update/rules/schedule_free_adamw.h"
#include "chainrule/update/rules/schedule_free_sgd.h"
#include "chainrule/update/rules/sgd.h"
#include "chainrule/update/rules/smorms3.h"
#include "chainrule/update/rules/soap.h"
#include "chainrule/update/rules/stable_adamw.h"
#include "chainrule/update/rules/stages.h"

namespace chainrule::update {
inline namespace CHAINRULE_ISA {

// Every rule there is, and after them the stages. A rule's number (Row::rule in update/plan.h) is
// its place here.
using Rules = functors::List<SGD,
                             MomentumSGD,
                             Adam<false>,
                             Adam<true>,
                             AMSGrad<false>,
                             AMSGrad<true>,
                             CorrectedMomentumSGD,
                             NesterovAG,
                             AdaGrad,
                             AdaDelta,
                             RMSprop,
                             RMSpropGraves,
                             SMORMS3,
                             MSVAG,
                             Lion,
                             NAdam,
                             RAdam,
                             AdEMAMix,
                             ADOPT,
                             AdaBelief,
                             Adamax,
                             Rprop,
                             ScheduleFreeSGD,
                             ScheduleFreeAdamW,
                             LAMB,
                             LARS,
                             StableAdamW,
                             Prodigy,
                             Muon,
                             Adafactor<false>,
                             Adafactor<true>,
                             SOAP,
                             MomentumStage,
                             ScaleStage,
                             MeanStage,
                             SquareStage,
                             InverseRootStage,
                             NormalizeStage,
                             QuotientStage,
                             CautiousStage,
                             ApplyStage,
                             PerturbStage,
                             LookaheadStage>;

template <class Rule, class... All>
constexpr std::int16_t find_place(functors::List<All...>) {
  std::int16_t place = 0;
  static_cast<void>(((__is_same(Rule, All) || (++place, false)) || ...));
  return place;
}
template <class Rule>
inline constexpr std::int16_t place_of = find_place<Rule>(Rules{});

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
