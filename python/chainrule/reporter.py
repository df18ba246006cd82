"""Collecting what links and extensions observe: losses, accuracies, rates.

A :class:`Reporter` knows its observers by name. ``report({'loss': loss}, self)`` inside a link
writes ``main/loss`` into the reporter's current observation; :class:`DictSummary` averages
observations.
"""

from __future__ import annotations

import contextlib
import json
import math
import threading
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from chainrule._core import Variable
from chainrule.configuration import config
from chainrule.serializer import AbstractSerializer, Serializer

__all__ = [
    "DictSummary",
    "Reporter",
    "Summary",
    "get_current_reporter",
    "report",
    "report_scope",
]


class _Reporters(threading.local):
    """The reporters that are entered in this thread, innermost last."""

    def __init__(self) -> None:
        self.stack: list[Reporter] = []


_reporters = _Reporters()


class Reporter:
    """Writes reported values into an observation, under the names of their observers.

    Attributes:
        observation: The dict that values are written into.

    Example:
        >>> import chainrule
        >>> reporter = chainrule.Reporter()
        >>> observer = object()
        >>> reporter.add_observer("main", observer)
        >>> observation = {}
        >>> with reporter.scope(observation):
        ...     chainrule.report({"loss": 0.5}, observer)
        >>> observation
        {'main/loss': 0.5}
    """

    observation: dict[str, Any]

    def __init__(self) -> None:
        self._observer_names: dict[int, str] = {}
        self.observation = {}

    def __enter__(self) -> Reporter:
        _reporters.stack.append(self)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        _reporters.stack.pop()

    @contextlib.contextmanager
    def scope(self, observation: dict[str, Any]) -> Iterator[None]:
        """Make this the current reporter, writing into ``observation``, for a block.

        Args:
            observation: The dict to write into.
        """
        previous = self.observation
        self.observation = observation
        try:
            with self:
                yield
        finally:
            self.observation = previous

    def add_observer(self, name: str, observer: object) -> None:
        """Make an object known.

        Args:
            name: Put before the names of what it reports.
            observer: The object.
        """
        self._observer_names[id(observer)] = name

    def add_observers(self, prefix: str, observers: Iterable[tuple[str, object]]) -> None:
        """Make many objects known, such as ``link.namedlinks(skipself=True)``.

        Args:
            prefix: Put before each name.
            observers: Pairs of name and object.
        """
        for name, observer in observers:
            self.add_observer(prefix + name, observer)

    def report(self, values: Mapping[str, Any], observer: object = None) -> None:
        """Write values into the current observation.

        Args:
            values: Names and values. Variables lose their graph unless
                ``config.keep_graph_on_report``.
            observer: The object that reports.

        Raises:
            KeyError: If the observer was not added.
        """
        if observer is None:
            prefix = ""
        else:
            name = self._observer_names.get(id(observer))
            if name is None:
                raise KeyError(
                    f"Given observer is not registered to the reporter: {type(observer).__name__}"
                )
            prefix = name + "/"
        keep_graph = config.keep_graph_on_report
        for key, value in values.items():
            if not keep_graph and isinstance(value, Variable):
                value = Variable(value.array, name=value.name, requires_grad=False)
            self.observation[prefix + key] = value


def get_current_reporter() -> Reporter:
    """Give the reporter of the innermost ``with`` block of this thread.

    Returns:
        The reporter.

    Raises:
        IndexError: If there is none.
    """
    if not _reporters.stack:
        raise IndexError("[reporter] there is no current reporter: enter one with `with`")
    return _reporters.stack[-1]


def report(values: Mapping[str, Any], observer: object = None) -> None:
    """Report values to the current reporter; without one, nothing happens.

    Args:
        values: Names and values.
        observer: The object that reports; its name in the reporter is put before the names.
    """
    if _reporters.stack:
        _reporters.stack[-1].report(values, observer)


@contextlib.contextmanager
def report_scope(observation: dict[str, Any]) -> Iterator[None]:
    """Let the current reporter write into another dict for a block.

    Args:
        observation: The dict to write into.
    """
    current = get_current_reporter()
    previous = current.observation
    current.observation = observation
    try:
        yield
    finally:
        current.observation = previous


class Summary:
    """Running mean and standard deviation of numbers.

    Example:
        >>> summary = Summary()
        >>> for value in (1.0, 2.0, 6.0):
        ...     summary.add(value)
        >>> float(summary.compute_mean())
        3.0
    """

    def __init__(self) -> None:
        self._x: Any = 0.0
        self._x2: Any = 0.0
        self._n: Any = 0

    def add(self, value: Any, weight: Any = 1) -> None:
        """Take one number in.

        Args:
            value: A number or an array of one element.
            weight: How often it counts.
        """
        self._x += weight * value
        self._x2 += weight * value * value
        self._n += weight

    def compute_mean(self) -> Any:
        """Give the mean of what was added.

        Returns:
            The mean.

        Raises:
            ZeroDivisionError: If nothing was added.
        """
        return self._x / self._n

    def make_statistics(self) -> tuple[Any, Any]:
        """Give mean and standard deviation (that of the whole, not of a sample).

        Returns:
            The two numbers.

        Raises:
            ZeroDivisionError: If nothing was added.
        """
        mean = self._x / self._n
        # Rounding can push the variance of equal numbers just below zero.
        variance = self._x2 / self._n - mean * mean
        return mean, math.sqrt(max(float(variance), 0.0)) if variance == variance else variance

    def serialize(self, serializer: AbstractSerializer) -> None:
        """Store or load the sums.

        Args:
            serializer: Where to.
        """
        self._x = serializer("_x", self._x)
        self._x2 = serializer("_x2", self._x2)
        self._n = serializer("_n", self._n)


class DictSummary:
    """A :class:`Summary` for each name in a series of observations."""

    def __init__(self) -> None:
        self._summaries: dict[str, Summary] = {}

    def add(self, d: Mapping[str, Any]) -> None:
        """Take one observation in; what is no single number is left out.

        Args:
            d: Names and values; a pair stands for value and weight.
        """
        for name, value in d.items():
            weight: Any = 1
            if isinstance(value, tuple):
                value, weight = _number(value[0]), _number(value[1])
            else:
                value = _number(value)
            if value is None or weight is None:
                continue
            summary = self._summaries.get(name)
            if summary is None:
                summary = self._summaries[name] = Summary()
            summary.add(value, weight=weight)

    def compute_mean(self) -> dict[str, Any]:
        """Give the mean of each name.

        Returns:
            Names and means.
        """
        return {name: summary.compute_mean() for name, summary in self._summaries.items()}

    def make_statistics(self) -> dict[str, Any]:
        """Give mean and standard deviation of each name.

        Returns:
            ``name`` and the mean, ``name.std`` and the standard deviation.
        """
        statistics = {}
        for name, summary in self._summaries.items():
            statistics[name], statistics[name + ".std"] = summary.make_statistics()
        return statistics

    def serialize(self, serializer: AbstractSerializer) -> None:
        """Store or load all sums.

        Args:
            serializer: Where to.
        """
        names = list(self._summaries)
        # Names may hold anything, so they are one value, and the sums are numbered.
        text = serializer("_names", json.dumps(names))
        if not isinstance(serializer, Serializer):
            names = json.loads(str(text))
            self._summaries = {name: Summary() for name in names}
        for index, name in enumerate(names):
            self._summaries[name].serialize(serializer["_summaries"][str(index)])


def _number(value: Any) -> Any:
    """The one number in a value, or None if it is something else."""
    if isinstance(value, Variable):
        value = value.array
    if isinstance(value, np.ndarray):
        return value.item() if value.ndim == 0 else None
    if isinstance(value, (int, float, np.number, np.bool_)):
        return value
    return None
