"""Decay of weights through the gradient."""

from __future__ import annotations

from typing import ClassVar

from chainrule._numbers import Number
from chainrule.optimizer_hooks._native import NativeHook

__all__ = ["WeightDecay"]


class _Rate(Number):
    def __set__(self, obj: object, value: float) -> None:
        super().__set__(obj, value)
        WeightDecay._changes += 1


class WeightDecay(NativeHook):
    """Adds the parameter times a rate to its gradient.

    ``g += rate * p``, the gradient of ``rate / 2 * sum(p ** 2)``.

    Args:
        rate: Coefficient of the decay.

    Attributes:
        rate (float): Coefficient of the decay; may be changed at any time.
        timing (str): ``'pre'``: runs before the update.
        call_for_each_param (bool): True: it stands on each parameter by itself.

    Example:
        >>> import numpy, chainrule
        >>> from chainrule.optimizers import SGD
        >>> from chainrule.optimizer_hooks import WeightDecay
        >>> link = chainrule.Link(w=2)
        >>> link.w.array[:] = [1.0, -2.0]
        >>> optimizer = SGD(lr=1.0).setup(link)
        >>> optimizer.add_hook(WeightDecay(0.5))
        >>> link.w.grad = numpy.zeros(2, numpy.float32)
        >>> optimizer.update()
        >>> link.w.array
        array([ 0.5, -1. ], dtype=float32)
    """

    _kind = "weight_decay"
    name = "WeightDecay"
    call_for_each_param = True
    #: How often a rate was set, of any hook, for whoever shows rates.
    _changes: ClassVar[int] = 0

    rate = _Rate("Coefficient of the decay.", slot="_a")

    def __init__(self, rate: float) -> None:
        super().__init__(rate=rate)
