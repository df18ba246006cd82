"""Decay towards sparse weights."""

from __future__ import annotations

from chainrule._numbers import Number
from chainrule.optimizer_hooks._native import NativeHook

__all__ = ["Lasso"]


class Lasso(NativeHook):
    """Adds the sign of the parameter times a rate to its gradient.

    ``g += rate * sign(p)``, the gradient of ``rate * sum(abs(p))``.

    Args:
        rate: Coefficient of the decay.

    Attributes:
        rate (float): Coefficient of the decay; may be changed at any time.
        timing (str): ``'pre'``: runs before the update.
        call_for_each_param (bool): True: it stands on each parameter by itself.
    """

    _kind = "lasso"
    name = "Lasso"
    call_for_each_param = True

    rate = Number("Coefficient of the decay.", slot="_a")

    def __init__(self, rate: float) -> None:
        super().__init__(rate=rate)
