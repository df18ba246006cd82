"""Which arrays can be updated in place, and who shares memory with whom."""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from chainrule import _core

if TYPE_CHECKING:
    from chainrule.variable import Parameter

__all__ = ["Spans", "check", "refuse_changed"]

_DTYPES = ("float16", "bfloat16", "float32", "float64")
# How hard NumPy may think about whether two arrays overlap.
_MAX_WORK = 100_000


def check(path: str, array: object, op: str) -> None:
    """Refuse what cannot be updated in place.

    Args:
        path: Its path, for errors.
        array: What was given.
        op: Who asks, for errors.

    Raises:
        TypeError: If it is no plain array, or of a dtype that takes no gradient.
        ValueError: If it is read-only, its memory is not aligned, or its elements overlap.
    """
    if type(array) is not np.ndarray and not isinstance(array, np.memmap):
        raise TypeError(f"[{op}] {path}: got {type(array).__name__}, expected a numpy.ndarray")
    if array.dtype.name not in _DTYPES:
        raise TypeError(f"[{op}] {path}: got {array.dtype}, expected one of {', '.join(_DTYPES)}")
    if not array.dtype.isnative:
        raise TypeError(
            f"[{op}] {path}: got byte order {array.dtype.str!r}, expected this machine's"
        )
    if not array.flags.writeable:
        raise ValueError(f"[{op}] {path}: the array is read-only; give a copy, or set its flag")
    if not array.flags.aligned:
        raise ValueError(f"[{op}] {path}: the array's memory is not aligned; give a copy")
    if array.ndim > 8:
        raise ValueError(f"[{op}] {path}: got {array.ndim} dimensions, expected at most 8")
    if _core.overlaps(array.shape, array.strides, array.itemsize):
        raise ValueError(f"[{op}] {path}: elements share memory with each other; give a copy")


def refuse_changed(path: str, array: np.ndarray, param: Parameter) -> NoReturn:
    """Say what has become of an array since it was given a rule.

    Args:
        path: Its path.
        array: The array as it is now.
        param: The parameter on it as it was.

    Raises:
        TypeError: Or ValueError: always one of them.
    """
    check(path, array, "update")
    for what in ("dtype", "shape"):
        got, expected = getattr(array, what), getattr(param, what)
        if got != expected:
            kind = TypeError if what == "dtype" else ValueError
            raise kind(
                f"[update] {path}: the array has another {what} since attach: got {got}, expected "
                f"{expected}"
            )
    raise ValueError(
        f"[update] {path}: the array has other memory since attach; attach it to a new optimizer"
    )


def _span(array: np.ndarray) -> tuple[int, int]:
    """Give the first address of an array, and the one behind its last."""
    begin = end = int(array.__array_interface__["data"][0])
    if array.size == 0:
        return begin, begin
    for stride, extent in zip(array.strides, array.shape, strict=True):
        if stride < 0:
            begin += stride * (extent - 1)
        else:
            end += stride * (extent - 1)
    return begin, end + array.itemsize


class Spans:
    """Where arrays lie in memory, to find who shares some.

    Args:
        arrays: Arrays by path.

    Raises:
        ValueError: If two of them share memory.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        entries = sorted((*_span(array), path) for path, array in arrays.items() if array.size)
        self._begins = [begin for begin, _, _ in entries]
        # The furthest that any array up to this one reaches.
        self._reaches: list[int] = []
        open_: list[tuple[int, str]] = []
        for begin, end, path in entries:
            open_ = [(other_end, other) for other_end, other in open_ if other_end > begin]
            for _, other in open_:
                if _share(arrays[path], arrays[other]):
                    first, second = sorted((path, other))
                    raise ValueError(
                        f"[attach] {second} shares memory with {first}: each would be updated by "
                        "two rules; give one of them"
                    )
            open_.append((end, path))
            self._reaches.append(max(end, self._reaches[-1] if self._reaches else end))

    def touch(self, array: np.ndarray) -> bool:
        """Tell whether an array lies among those known.

        Args:
            array: Another array.

        Returns:
            False if it certainly shares no memory with one of them.
        """
        begin, end = _span(array)
        place = bisect.bisect_left(self._begins, end)
        return begin < end and place > 0 and self._reaches[place - 1] > begin


def _share(a: np.ndarray, b: np.ndarray) -> bool:
    try:
        return bool(np.shares_memory(a, b, max_work=_MAX_WORK))  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True
