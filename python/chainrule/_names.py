"""Names that are not known, and what was perhaps meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from chainrule.configuration import config

__all__ = ["is_number", "listed", "refuse_misspelt", "refuse_no_rule", "suggestion"]


def is_number(value: Any) -> bool:
    """Tell whether something can stand where a number is wanted; a word never does."""
    return not isinstance(value, str) and hasattr(value, "__float__")


def listed(names: Sequence[str]) -> str:
    """Name the first of many.

    Args:
        names: All of them.

    Returns:
        Text such as ``'/a, /b, /c and 4 more'``.
    """
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def suggestion(name: str, known: Iterable[str]) -> str:
    """Say which known name is like one that is not known.

    Args:
        name: The unknown one.
        known: What there is.

    Returns:
        Text to end an error with, such as ``"; did you mean 'lr'? Known: lr, momentum"``.
    """
    known = list(known)
    spelling = {each.lower(): each for each in known}  # case is the likeliest mistake
    near = difflib.get_close_matches(name.lower(), spelling, 1, 0.4)
    text = f"; did you mean '{spelling[near[0]]}'?" if near else ""
    return text + (" Known: " if near else "; known: ") + (", ".join(known) or "none")


def refuse_misspelt(obj: object, name: str) -> None:
    """Refuse to set an attribute whose name is nearly that of one which does something.

    Other new names are nobody's business. Chainer takes any.

    Args:
        obj: Whose attribute.
        name: Its name.

    Raises:
        AttributeError: If it is like a public attribute of the class.
    """
    cls = type(obj)
    if name[0] == "_" or hasattr(cls, name) or name in vars(obj) or config.chainer_semantics:
        return
    known = [each for each in dir(cls) if each[0] != "_"]
    near = difflib.get_close_matches(name, known, 1, 0.8)
    if near:
        raise AttributeError(
            f"[{cls.__name__}] no attribute '{name}' to set; did you mean '{near[0]}'?"
        )


def refuse_no_rule(rule: object) -> None:
    """Refuse what cannot be a parameter's update rule, such as an optimizer.

    Args:
        rule: A rule, what stands in for one, or None.

    Raises:
        TypeError: If it is something else.
    """
    is_class = isinstance(rule, type)
    optimizer = hasattr(rule, "create_update_rule")
    # A stand-in need not have everything.
    fits = rule is None or hasattr(rule, "update") or hasattr(rule, "enabled")
    if fits and not is_class and not optimizer:
        return
    name = rule.__name__ if isinstance(rule, type) else type(rule).__name__
    raise TypeError(
        f"[update_rule] got {'the class ' if is_class else ''}{name}, expected an update rule, "
        "such as optimizer.create_update_rule() makes, or None"
    )
