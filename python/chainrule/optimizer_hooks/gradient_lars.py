"""Rates in proportion to the norms of weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from chainrule._numbers import Number

if TYPE_CHECKING:
    from chainrule.optimizer import UpdateRule
    from chainrule.variable import Parameter

__all__ = ["GradientLARS"]


class GradientLARS:
    """Scales each gradient to the norm of its parameter.

    ``g = |p| / (eps + |g| + weight_decay * |p|) * (g + weight_decay * p)`` where ``|p|`` is above
    the threshold, ``g += weight_decay * p`` elsewhere. LARS's coefficient is part of the
    optimizer's ``lr``.

    Args:
        threshold: Parameters of a smaller norm keep the length of their gradients.
        weight_decay: Coefficient of the decay.
        eps: Keeps the denominator from zero.

    Attributes:
        threshold (float): As above; all three may be changed at any time.
        weight_decay (float): As above.
        eps (float): As above.
        timing (str): ``'pre'``: runs before the update.
        call_for_each_param (bool): True: it stands on each parameter by itself.

    Source:
        You et al., `Large Batch Training of Convolutional Networks
        <https://arxiv.org/abs/1708.03888>`_.
    """

    name = "GradientLARS"
    timing = "pre"
    call_for_each_param = True

    threshold = Number(
        "Parameters of a smaller norm keep the length of their gradients.",
        "a number",
        lambda norm: not math.isnan(norm),
    )
    weight_decay = Number("Coefficient of the decay.")
    eps = Number(
        "Keeps the denominator from zero.",
        "a finite number from 0 on",
        lambda eps: 0 <= eps < math.inf,
    )

    def __init__(
        self, threshold: float = 1e-2, weight_decay: float = 0.0, eps: float = 1e-9
    ) -> None:
        self.threshold = threshold
        self.weight_decay = weight_decay
        self.eps = eps

    def __call__(self, rule: UpdateRule, param: Parameter) -> None:
        """Scale a gradient, if there is one.

        Args:
            rule: The rule of the parameter.
            param: The parameter.
        """
        p, grad = param.array, param.grad
        if p is None or grad is None:
            return
        norm = param.xp.linalg.norm
        p_norm, g_norm = float(norm(p)), float(norm(grad))
        grad += self.weight_decay * p
        if p_norm > self.threshold:
            grad *= p_norm / (self.eps + g_norm + self.weight_decay * p_norm)
