"""Optimizers: one class per algorithm, each with its update rule.

All of them run in C++, in one table; see :mod:`chainrule.optimizer`.
"""

from chainrule.optimizers.ada_delta import AdaDelta
from chainrule.optimizers.ada_grad import AdaGrad
from chainrule.optimizers.adafactor import Adafactor
from chainrule.optimizers.adam import AdaBound, Adam, AdamW, AMSBound, AMSGrad
from chainrule.optimizers.corrected_momentum_sgd import CorrectedMomentumSGD
from chainrule.optimizers.momentum_sgd import MomentumSGD
from chainrule.optimizers.msvag import MSVAG
from chainrule.optimizers.muon import Muon
from chainrule.optimizers.nesterov_ag import NesterovAG
from chainrule.optimizers.rmsprop import RMSprop
from chainrule.optimizers.rmsprop_graves import RMSpropGraves
from chainrule.optimizers.sgd import SGD
from chainrule.optimizers.smorms3 import SMORMS3
from chainrule.optimizers.soap import SOAP

__all__ = [
    "MSVAG",
    "SGD",
    "SMORMS3",
    "SOAP",
    "AMSBound",
    "AMSGrad",
    "AdaBound",
    "AdaDelta",
    "AdaGrad",
    "Adafactor",
    "Adam",
    "AdamW",
    "CorrectedMomentumSGD",
    "MomentumSGD",
    "Muon",
    "NesterovAG",
    "RMSprop",
    "RMSpropGraves",
]
