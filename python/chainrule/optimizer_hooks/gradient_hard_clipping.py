"""Bounds for each element of a gradient."""

from __future__ import annotations

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

    def __init__(self, lower_bound: float, upper_bound: float) -> None:
        super().__init__(lower_bound, upper_bound)

    @property
    def lower_bound(self) -> float:
        """Least value of an element."""
        return self._a

    @lower_bound.setter
    def lower_bound(self, bound: float) -> None:
        self._a = bound

    @property
    def upper_bound(self) -> float:
        """Greatest value of an element."""
        return self._b

    @upper_bound.setter
    def upper_bound(self, bound: float) -> None:
        self._b = bound
