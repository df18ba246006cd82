"""Bounds for each element of a gradient."""

from __future__ import annotations

import math

from chainrule._numbers import Number
from chainrule.optimizer_hooks._native import NativeHook

__all__ = ["GradientHardClipping"]


class GradientHardClipping(NativeHook):
    """Keeps each element of the gradient between two bounds.

    ``g = min(max(g, lower_bound), upper_bound)``

    Args:
        lower_bound: Least value of an element.
        upper_bound: Greatest value of an element.

    Attributes:
        lower_bound (float): Least value; may be changed at any time.
        upper_bound (float): Greatest value; may be changed at any time.
        timing (str): ``'pre'``: runs before the update.
        call_for_each_param (bool): True: it stands on each parameter by itself.
    """

    _kind = "hard_clip"
    name = "GradientHardClipping"
    call_for_each_param = True

    lower_bound = Number(
        "Least value of an element.", "a number", lambda bound: not math.isnan(bound), slot="_a"
    )
    upper_bound = Number(
        "Greatest value of an element.", "a number", lambda bound: not math.isnan(bound), slot="_b"
    )

    def __init__(self, lower_bound: float, upper_bound: float) -> None:
        super().__init__(lower_bound=lower_bound, upper_bound=upper_bound)
