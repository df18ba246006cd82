"""Numbers that are given: which there may be, and what is said of others."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, overload

import numpy as np

__all__ = ["Number", "is_number", "number", "whole_number"]


def is_number(value: Any) -> bool:
    """Tell whether something can stand where a number is wanted; a word never does.

    Args:
        value: Anything. An array of no dimension, NumPy's or another library's, is a number.

    Returns:
        Whether it can.
    """
    if isinstance(value, (str, bytes)) or not hasattr(value, "__float__"):
        return False
    if getattr(value, "ndim", 0) != 0 or np.iscomplexobj(value):
        return False
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def number(
    where: str,
    value: Any,
    expected: str = "a finite number",
    fits: Callable[[float], bool] = math.isfinite,
) -> float:
    """Read a number.

    Args:
        where: What it is for, with the area in brackets.
        value: The number.
        expected: Which numbers there may be, in words.
        fits: Tells whether one may be.

    Returns:
        The number.

    Raises:
        TypeError: If it is none.
        ValueError: If it does not fit.

    Example:
        >>> number("[SAM] rho", -1, "a number from 0 on", lambda rho: rho >= 0)
        Traceback (most recent call last):
            ...
        ValueError: [SAM] rho: got -1, expected a number from 0 on
    """
    if not is_number(value):
        raise TypeError(f"{where}: got {value!r}, expected {expected}")
    read = float(value)
    if not fits(read):
        raise ValueError(f"{where}: got {value!r}, expected {expected}")
    return read


def whole_number(where: str, value: Any, least: int) -> int:
    """Read a whole number.

    Args:
        where: What it is for, with the area in brackets.
        value: The number.
        least: The least one that fits.

    Returns:
        The number.

    Raises:
        TypeError: If it is none.
        ValueError: If it is not whole or too small.
    """
    expected = f"a whole number from {least} on"
    return int(number(where, value, expected, lambda n: n.is_integer() and n >= least))


class Number:
    """An attribute that is a number and is checked where it is set; for classes of hooks.

    Args:
        doc: What it is.
        expected: Which numbers there may be, in words.
        fits: Tells whether one may be.
        slot: The attribute that keeps it; an underscore and its name by default.
    """

    def __init__(
        self,
        doc: str,
        expected: str = "a finite number",
        fits: Callable[[float], bool] = math.isfinite,
        slot: str | None = None,
    ) -> None:
        self.__doc__ = doc
        self._expected, self._fits, self._slot = expected, fits, slot or ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name
        self._slot = self._slot or f"_{name}"

    @overload
    def __get__(self, obj: None, owner: type) -> Number: ...
    @overload
    def __get__(self, obj: object, owner: type) -> float: ...
    def __get__(self, obj: object, owner: type) -> Any:
        if obj is None:
            return self
        # Objects that were pickled before this class kept it have it under its own name.
        old = vars(obj).get(self._name)
        return getattr(obj, self._slot) if old is None else old

    def __set__(self, obj: object, value: float) -> None:
        where = f"[{type(obj).__name__}] {self._name}"
        setattr(obj, self._slot, number(where, value, self._expected, self._fits))
        if getattr(type(obj), self._name, None) is self:
            vars(obj).pop(self._name, None)
