"""Hooks around updates: on gradients before, on weights after, and on the update itself.

Each can be added to an optimizer (``optimizer.add_hook``), where it acts on all parameters, or to
the rule of one parameter (``param.update_rule.add_hook``). The built-in ones that need no
random numbers run inside the sweep that updates.
"""

from chainrule.optimizer_hooks.cautious import Cautious
from chainrule.optimizer_hooks.ema import EMA
from chainrule.optimizer_hooks.gradient_clipping import GradientClipping
from chainrule.optimizer_hooks.gradient_hard_clipping import GradientHardClipping
from chainrule.optimizer_hooks.gradient_lars import GradientLARS
from chainrule.optimizer_hooks.gradient_noise import GradientNoise, exponential_decay_noise
from chainrule.optimizer_hooks.lasso import Lasso
from chainrule.optimizer_hooks.lookahead import Lookahead
from chainrule.optimizer_hooks.sam import SAM
from chainrule.optimizer_hooks.weight_decay import WeightDecay

__all__ = [
    "EMA",
    "SAM",
    "Cautious",
    "GradientClipping",
    "GradientHardClipping",
    "GradientLARS",
    "GradientNoise",
    "Lasso",
    "Lookahead",
    "WeightDecay",
    "exponential_decay_noise",
]
