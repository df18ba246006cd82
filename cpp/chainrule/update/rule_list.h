#pragma once

#include "chainrule/functors/unary.h"
#include "chainrule/update/rules/ada_delta.h"
#include "chainrule/update/rules/ada_grad.h"
#include "chainrule/update/rules/adam.h"
#include "chainrule/update/rules/corrected_momentum_sgd.h"
#include "chainrule/update/rules/momentum_sgd.h"
#include "chainrule/update/rules/msvag.h"
#include "chainrule/update/rules/muon.h"
#include "chainrule/update/rules/nesterov_ag.h"
#include "chainrule/update/rules/rmsprop.h"
#include "chainrule/update/rules/rmsprop_graves.h"
#include "chainrule/update/rules/sgd.h"
#include "chainrule/update/rules/smorms3.h"
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
                             Muon,
                             MomentumStage,
                             ScaleStage>;

template <class Rule, class... Rules>
constexpr std::int16_t place_of(functors::List<Rules...>) {
  std::int16_t place = 0;
  static_cast<void>(((__is_same(Rule, Rules) || (++place, false)) || ...));
  return place;
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::update
