"""Hooks that change gradients before parameters are updated.

Each can be added to an optimizer (``optimizer.add_hook``), where it acts on all parameters, or to
the rule of one parameter (``param.update_rule.add_hook``). The built-in ones that need no
random numbers run inside the sweep that updates.
"""

from chainrule.optimizer_hooks.gradient_clipping import GradientClipping
from chainrule.optimizer_hooks.gradient_hard_clipping import GradientHardClipping
from chainrule.optimizer_hooks.gradient_lars import GradientLARS
from chainrule.optimizer_hooks.gradient_noise import GradientNoise, exponential_decay_noise
from chainrule.optimizer_hooks.lasso import Lasso
from chainrule.optimizer_hooks.weight_decay import WeightDecay

__all__ = [
    "GradientClipping",
    "GradientHardClipping",
    "GradientLARS",
    "GradientNoise",
    "Lasso",
    "WeightDecay",
    "exponential_decay_noise",
]
