"""Optimizers: one class per algorithm, each with its update rule.

All of them run in C++, in one table; see :mod:`chainrule.optimizer`.

Chainer's have its arguments. The others, too, call the rate ``alpha`` where they are relatives
of Adam (NAdam, RAdam, AdEMAMix, ADOPT, AdaBelief, Adamax, Schedule-Free AdamW, LAMB, StableAdamW,
Prodigy), and ``lr`` where not (Lion, Rprop, Schedule-Free SGD, LARS). Their ``weight_decay`` is
multiplied by the rate, as in the papers; ``weight_decay_rate`` of Chainer's Adam is not (beside
it, Adam has a ``weight_decay`` that is).
"""

from chainrule.optimizers.ada_belief import AdaBelief
from chainrule.optimizers.ada_delta import AdaDelta
from chainrule.optimizers.ada_grad import AdaGrad
from chainrule.optimizers.adafactor import Adafactor
from chainrule.optimizers.adam import AdaBound, Adam, AdamW, AMSBound, AMSGrad
from chainrule.optimizers.adamax import Adamax
from chainrule.optimizers.ademamix import AdEMAMix
from chainrule.optimizers.adopt import ADOPT
from chainrule.optimizers.corrected_momentum_sgd import CorrectedMomentumSGD
from chainrule.optimizers.lamb import LAMB
from chainrule.optimizers.lars import LARS
from chainrule.optimizers.lion import Lion
from chainrule.optimizers.momentum_sgd import MomentumSGD
from chainrule.optimizers.msvag import MSVAG
from chainrule.optimizers.muon import Muon
from chainrule.optimizers.nadam import NAdam
from chainrule.optimizers.nesterov_ag import NesterovAG
from chainrule.optimizers.prodigy import Prodigy
from chainrule.optimizers.radam import RAdam
from chainrule.optimizers.rmsprop import RMSprop
from chainrule.optimizers.rmsprop_graves import RMSpropGraves
from chainrule.optimizers.rprop import Rprop
from chainrule.optimizers.schedule_free_adamw import ScheduleFreeAdamW
from chainrule.optimizers.schedule_free_sgd import ScheduleFreeSGD
from chainrule.optimizers.sgd import SGD
from chainrule.optimizers.smorms3 import SMORMS3
from chainrule.optimizers.soap import SOAP
from chainrule.optimizers.stable_adamw import StableAdamW

__all__ = [
    "ADOPT",
    "LAMB",
    "LARS",
    "MSVAG",
    "SGD",
    "SMORMS3",
    "SOAP",
    "AMSBound",
    "AMSGrad",
    "AdEMAMix",
    "AdaBelief",
    "AdaBound",
    "AdaDelta",
    "AdaGrad",
    "Adafactor",
    "Adam",
    "AdamW",
    "Adamax",
    "CorrectedMomentumSGD",
    "Lion",
    "MomentumSGD",
    "Muon",
    "NAdam",
    "NesterovAG",
    "Prodigy",
    "RAdam",
    "RMSprop",
    "RMSpropGraves",
    "Rprop",
    "ScheduleFreeAdamW",
    "ScheduleFreeSGD",
    "StableAdamW",
]
