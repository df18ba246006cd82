"""Questions that choose parameters, and how their answers are put together.

An answer may be open: a condition cannot be told of a parameter that has no array yet. So there
are two sets, those that are chosen and those of which it is open, and the set operations follow
Kleene's logic of true, false and unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from chainrule.rules.entries import Entry
from chainrule.variable import Parameter

if TYPE_CHECKING:
    from chainrule._optimizer import Optimizer

__all__ = ["Find", "Found", "below", "complement", "fitting", "intersection", "union", "where"]

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


def fitting(matcher: Callable[[str], bool]) -> Find:
    """Ask for parameters of which a path fits.

    Args:
        matcher: Tells whether a path fits.

    Returns:
        The question.
    """

    def find(entries: Sequence[Entry]) -> Found:
        return {id(entry.param) for entry in entries if any(map(matcher, entry.paths))}, set()

    return find


def below(optimizer: Optimizer, classes: tuple[type, ...]) -> Find:
    """Ask for parameters below links of some classes.

    Args:
        optimizer: The optimizer whose link is meant.
        classes: The classes.

    Returns:
        The question.
    """

    def find(entries: Sequence[Entry]) -> Found:
        assert optimizer.target is not None
        found: set[int] = set()
        for part, params in optimizer.target._parts():
            if isinstance(part, classes):
                found.update(id(param) for param in params)
        return found, set()

    return find


def where(condition: Callable[[str, Parameter], Any]) -> Find:
    """Ask for parameters that fulfil a condition.

    Args:
        condition: A function of path and parameter. Where it raises for a parameter that has no
            array yet, the answer is open.

    Returns:
        The question.
    """

    def find(entries: Sequence[Entry]) -> Found:
        found: set[int] = set()
        open_: set[int] = set()
        for entry in entries:
            try:
                if condition(entry.path, entry.param._shown()):
                    found.add(id(entry.param))
            except Exception:
                if entry.param.is_initialized:
                    raise
                open_.add(id(entry.param))
        return found, open_

    return find
