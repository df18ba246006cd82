"""Questions that choose parameters, and how their answers are put together.

An answer may be open: a condition cannot be told of a parameter that has no array yet. So there
are two sets, those that are chosen and those of which it is open, and the set operations follow
Kleene's logic of true, false and unknown.

Questions are objects, so that selections can be copied and pickled with their optimizer.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from chainrule._core import Variable
from chainrule.link import Link
from chainrule.rules.entries import Entry
from chainrule.rules.patterns import compile_pattern
from chainrule.variable import Parameter

if TYPE_CHECKING:
    from chainrule._optimizer import Optimizer

__all__ = [
    "AnyOf",
    "Below",
    "Both",
    "Everything",
    "Find",
    "Fitting",
    "Found",
    "In",
    "Where",
    "Without",
    "complement",
    "intersection",
    "union",
]

#: Parameters by id: those that are chosen, and those of which it is open.
Found = tuple[set[int], set[int]]
#: A question: asked of all parameters, it gives an answer.
Find = Callable[[Sequence[Entry]], Found]


def union(*parts: Found) -> Found:
    """Choose what one of several answers chooses.

    Args:
        *parts: The answers.

    Returns:
        Their union.
    """
    found = set[int]().union(*(part[0] for part in parts))
    return found, set[int]().union(*(part[1] for part in parts)) - found


def intersection(a: Found, b: Found) -> Found:
    """Choose what both answers choose.

    Args:
        a: One answer.
        b: The other.

    Returns:
        Their intersection.
    """
    found = a[0] & b[0]
    return found, ((a[0] | a[1]) & (b[0] | b[1])) - found


def complement(a: Found, everything: set[int]) -> Found:
    """Choose what an answer does not choose.

    Args:
        a: The answer.
        everything: All that there is.

    Returns:
        The rest; what was open stays open.
    """
    return everything - a[0] - a[1], everything & a[1]


class Everything:
    """Asks for all parameters."""

    def __call__(self, entries: Sequence[Entry]) -> Found:
        """Answer the question."""
        return {id(entry.param) for entry in entries}, set()


@dataclasses.dataclass(frozen=True, eq=False)
class AnyOf:
    """Asks for what one of several questions chooses.

    Attributes:
        parts: The questions.
    """

    parts: tuple[Find, ...]

    def __call__(self, entries: Sequence[Entry]) -> Found:
        """Answer the question."""
        return union(*(part(entries) for part in self.parts))


@dataclasses.dataclass(frozen=True, eq=False)
class Both:
    """Asks for what both of two questions choose.

    Attributes:
        a: One question.
        b: The other.
    """

    a: Find
    b: Find

    def __call__(self, entries: Sequence[Entry]) -> Found:
        """Answer the question."""
        return intersection(self.a(entries), self.b(entries))


@dataclasses.dataclass(frozen=True, eq=False)
class Without:
    """Asks for what one question chooses and another does not.

    Attributes:
        a: The first question.
        b: The other.
    """

    a: Find
    b: Find

    def __call__(self, entries: Sequence[Entry]) -> Found:
        """Answer the question."""
        a, b = self.a(entries), self.b(entries)
        return intersection(a, complement(b, a[0] | a[1]))


@dataclasses.dataclass(frozen=True, eq=False)
class Fitting:
    """Asks for parameters of which a path fits.

    Attributes:
        pattern: The pattern, or a compiled regular expression.
        separator: What stands between the levels of paths.
    """

    pattern: str | re.Pattern[str]
    separator: str

    @functools.cached_property
    def matcher(self) -> Callable[[str], bool]:
        """Tells whether a path fits; raises where the pattern is none."""
        return compile_pattern(self.pattern, self.separator)

    def __getstate__(self) -> dict[str, Any]:
        return {"pattern": self.pattern, "separator": self.separator}

    def __call__(self, entries: Sequence[Entry]) -> Found:
        """Answer the question."""
        return {id(entry.param) for entry in entries if any(map(self.matcher, entry.paths))}, set()


@dataclasses.dataclass(frozen=True, eq=False)
class In:
    """Asks for one parameter, or for those of a link.

    Attributes:
        item: The parameter or the link.
    """

    item: Variable | Link

    def __call__(self, entries: Sequence[Entry]) -> Found:
        """Answer the question."""
        params = self.item.params() if isinstance(self.item, Link) else (self.item,)
        return {id(param) for param in params}, set()


@dataclasses.dataclass(frozen=True, eq=False)
class Below:
    """Asks for parameters below links of some classes.

    Attributes:
        optimizer: The optimizer whose link is meant.
        classes: The classes.
    """

    optimizer: Optimizer
    classes: tuple[type, ...]

    def __call__(self, entries: Sequence[Entry]) -> Found:
        """Answer the question."""
        assert self.optimizer.target is not None
        found: set[int] = set()
        for part, params in self.optimizer.target._parts():
            if isinstance(part, self.classes):
                found.update(id(param) for param in params)
        return found, set()


@dataclasses.dataclass(frozen=True, eq=False)
class Where:
    """Asks for parameters that fulfil a condition.

    Attributes:
        condition: A function of path and parameter. Where it raises for a parameter that has no
            array yet, the answer is open.
    """

    condition: Callable[[str, Parameter], Any]

    def __call__(self, entries: Sequence[Entry]) -> Found:
        """Answer the question."""
        found: set[int] = set()
        open_: set[int] = set()
        for entry in entries:
            try:
                if self.condition(entry.path, entry.param._shown()):
                    found.add(id(entry.param))
            except Exception:
                if entry.param.is_initialized:
                    raise
                open_.add(id(entry.param))
        return found, open_
