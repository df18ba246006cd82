"""The record of what a function does to symbols, and how to refuse what cannot be recorded."""

from __future__ import annotations

import linecache
import math
import os
import struct
import sys
import traceback
import types
from typing import NamedTuple, NoReturn

import numpy as np

__all__ = ["Node", "Trace", "TraceError", "refuse", "refused_elsewhere"]

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_NUMPYS = os.path.dirname(os.path.abspath(np.__file__)) + os.sep


class TraceError(TypeError):
    """A rule does something that cannot be done element by element, or whose way depends on values.

    The message names the operation, and the file and line where it stands.
    """


class _MissingAttribute(TraceError, AttributeError):
    """So that ``hasattr`` gives False."""


def _is_users(frame: types.FrameType) -> bool:
    return not frame.f_code.co_filename.startswith((_OURS, _NUMPYS))


def _where() -> str:
    """Say which line is running, looked for from here outwards, past chainrule and NumPy."""
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None and not _is_users(frame):
        frame = frame.f_back
    return "somewhere" if frame is None else _line_of(frame, frame.f_lineno)


def _line_of(frame: types.FrameType, line: int) -> str:
    file = frame.f_code.co_filename
    linecache.checkcache(file)  # it may have been edited and run again
    text = linecache.getline(file, line, frame.f_globals).strip()
    place = f"{file}:{line}, in {frame.f_code.co_name}"
    return f"{place}: {text}" if text else place


def refuse(rule: str, what: str, instead: str = "", attribute: bool = False) -> NoReturn:
    """Raise a TraceError that names the line of the user's function.

    Args:
        rule: Name of the rule.
        what: The operation.
        instead: What to do instead.
        attribute: Whether ``hasattr`` is to take it for an attribute that is not there.
    """
    error = _MissingAttribute if attribute else TraceError
    raise error(_message(rule, what, instead, _where()))


def refused_elsewhere(rule: str, error: Exception) -> TraceError:
    """Give the TraceError for what a function of somebody else said when it was given a symbol.

    Args:
        rule: Name of the rule.
        error: What was raised.

    Returns:
        The error that names the line of the user's function.
    """
    calls = list(traceback.walk_tb(error.__traceback__))
    last = max((i for i, (frame, _) in enumerate(calls) if _is_users(frame)), default=0)
    inner = calls[last + 1 :]
    called = f"{inner[0][0].f_code.co_name}()" if inner else "a function or operator"
    what = f"{called}, which takes no symbols ({error})"
    advice = "use arithmetic and NumPy's functions, such as numpy.exp()"
    return TraceError(_message(rule, what, advice, _line_of(*calls[last])))


def _message(rule: str, what: str, instead: str, where: str) -> str:
    advice = f"; {instead}" if instead else ""
    return f"[elementwise_rule] {rule}: cannot trace {what}{advice}\n  {where}"


class Node(NamedTuple):
    """One operation: name, arguments (earlier nodes), a constant's value, an input's place."""

    op: str
    arguments: tuple[int, ...] = ()
    value: float = 0.0
    place: int = 0


class Trace:
    """Nodes, equal ones merged.

    Args:
        rule: Name of the rule, for errors.
    """

    def __init__(self, rule: str) -> None:
        self.rule = rule
        self.nodes: list[Node] = []
        self._known: dict[tuple[object, ...], int] = {}

    def add(self, op: str, *arguments: int, value: float = 0.0, place: int = 0) -> int:
        """Give the place of a node, which is made if there is none like it.

        Args:
            op: Name of the operation.
            *arguments: Places of earlier nodes.
            value: A constant's value.
            place: Which field or state.

        Returns:
            Its place in :attr:`nodes`.
        """
        key = (op, arguments, struct.pack("d", value), place)  # -0.0 is not 0.0, NaN is NaN
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = len(self.nodes)
            self.nodes.append(Node(op, arguments, value, place))
        return found

    def constant(self, value: float) -> int:
        """Give the place of a constant.

        Args:
            value: Its value.

        Returns:
            Its place in :attr:`nodes`.
        """
        return self.add("constant", value=float(value))

    def constant_value(self, node: int) -> float | None:
        """Give the value of a node that is a constant, else None.

        Args:
            node: Its place.

        Returns:
            The value.
        """
        found = self.nodes[node]
        return found.value if found.op == "constant" else None

    def power(self, base: int, exponent: int) -> int:
        """Give the place of a power: small whole exponents are products, halves are roots.

        Args:
            base: Place of the base.
            exponent: Place of the exponent.

        Returns:
            Its place in :attr:`nodes`.
        """
        value = self.constant_value(exponent)
        if value is None or not math.isfinite(value) or abs(value) > 16 or value * 2 % 1:
            return self.add("power", base, exponent)
        whole, half = divmod(abs(value), 1)
        if half and whole:
            return self.add("power", base, exponent)
        if half and value < 0:
            base = self._without_minus_zero(base)
        out = self.add("sqrt", base) if half else self._whole_power(base, int(whole))
        return self.add("divide", self.constant(1), out) if value < 0 else out

    def _without_minus_zero(self, node: int) -> int:
        """Give a value with 0 for -0: a power of -0 is infinity, the inverse of its root -infinity.

        A sum with a number that is the same for all, such as epsilon, has no -0.
        """
        found = self.nodes[node]
        ops = {self.nodes[argument].op for argument in found.arguments}
        with_number = found.op == "add" and ops & {"constant", "field"}
        if with_number or found.op in ("square", "absolute"):
            return node
        return self.add("add", node, self.constant(0))

    def _whole_power(self, base: int, exponent: int) -> int:
        if exponent == 0:
            return self.constant(1)
        if exponent == 1:
            return base
        half = self._whole_power(base, exponent // 2)
        out = self.add("square", half)
        return self.add("multiply", out, base) if exponent % 2 else out
