"""Names that are not known, and what was perhaps meant."""

from __future__ import annotations

import difflib
import functools
import itertools
from collections.abc import Iterable, Sequence
from typing import NoReturn

from chainrule import _core
from chainrule.configuration import config

__all__ = ["listed", "refuse_misspelt", "refuse_no_rule", "refuse_unknown", "suggestion"]

#: Words for one hyperparameter, also in other libraries; the first that an algorithm has is meant.
_SYNONYMS = (
    ("lr", "alpha", "alfa", "learning_rate"),
    ("eps", "epsilon"),
    ("weight_decay", "weight_decay_rate", "wd"),
    ("momentum", "beta1", "betas"),
)


def listed(names: Sequence[str]) -> str:
    """Name the first of many.

    Args:
        names: All of them.

    Returns:
        Text such as ``'/a, /b, /c and 4 more'``.
    """
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def suggestion(name: object, known: Iterable[str]) -> str:
    """Say which known name is like one that is not known.

    Args:
        name: The unknown one.
        known: What there is.

    Returns:
        Text to end an error with, such as ``"; did you mean 'lr'? Known: lr, momentum"``.
    """
    known = list(map(str, known))
    spelling = {each.lower(): each for each in known}  # case is the likeliest mistake
    near = difflib.get_close_matches(str(name).lower(), spelling, 1, 0.4)
    text = f"; did you mean '{spelling[near[0]]}'?" if near else ""
    return text + (" Known: " if near else "; known: ") + (", ".join(known) or "none")


def _bare(name: str) -> str:
    return name.lower().replace("_", "")


@functools.cache
def _all_hyperparameters() -> frozenset[str]:
    """Bare names of the hyperparameters of all built-in algorithms, and other words for them."""
    fields = [name for values, _ in _core.update_rules().values() for name in values]
    return frozenset(map(_bare, (*fields, *itertools.chain(*_SYNONYMS))))


def _can_be_set(cls: type, name: str) -> bool:
    attribute = getattr(cls, name)
    return not isinstance(attribute, property) or attribute.fset is not None


def _names_of(cls: type) -> tuple[tuple[str, ...], dict[str, str]]:
    """Hyperparameters of a class, and by bare names all that it has, as it is written."""
    algorithm = getattr(getattr(cls, "_rule_class", cls), "_algorithm", None)
    fields = () if algorithm is None else tuple(_core.default_hyperparameter(algorithm).get_dict())
    known = {_bare(each): each for each in dir(cls) if each[0] != "_"}
    # A rule has them on its hyperparam.
    known |= {_bare(each): each if hasattr(cls, each) else f"hyperparam.{each}" for each in fields}
    return fields, known


def _meant(cls: type, name: str) -> str | None:
    """Tell what was perhaps meant by a name that a class does not have."""
    fields, known = _names_of(cls)
    bare = _bare(name)
    if known.get(bare) == name:
        del known[bare]  # it can only be read
    if bare in known:
        return known[bare]
    for words in _SYNONYMS:
        if bare in map(_bare, words):
            return next((known[_bare(word)] for word in words if word in fields), None)
    for field in map(_bare, fields):
        swapped = sorted(bare) == sorted(field)
        if swapped or any(bare == field[:i] + field[i + 1 :] for i in range(len(field))):
            return known[field]
    near = difflib.get_close_matches(bare, known, 1, 0.8)
    return known[near[0]] if near else None


def _unknown(cls: type, name: str, to_set: str) -> str | None:
    """Say what is wrong with a name; None where it is nobody's business."""
    meant, fields = _meant(cls, name), _names_of(cls)[0]
    if meant is None and not (fields and _bare(name) in _all_hyperparameters()):
        return None
    hint = "; hyperparameters" if meant is None else f"; did you mean '{meant}'? Hyperparameters"
    return f"[{cls.__name__}] no attribute '{name}'{to_set}{hint}: {', '.join(fields) or 'none'}"


def refuse_misspelt(obj: object, name: str) -> None:
    """Refuse to set an attribute that looks like one which does something.

    That is what is nearly spelled like a public attribute or a hyperparameter, and what is a
    hyperparameter of another algorithm. Other new names are nobody's business. Chainer takes any.

    Args:
        obj: Whose attribute.
        name: Its name.

    Raises:
        AttributeError: If it does.
    """
    cls = type(obj)
    there = (hasattr(cls, name) and _can_be_set(cls, name)) or name in vars(obj)
    if name[0] == "_" or there or config.chainer_semantics:
        return
    message = _unknown(cls, name, " to set")
    if message is not None:
        raise AttributeError(message)


def refuse_unknown(obj: object, name: str) -> NoReturn:
    """Say that an object has no attribute of a name, and what was perhaps meant.

    Args:
        obj: The object, after its attribute was looked for in vain.
        name: The name.

    Raises:
        AttributeError: Always; what a property of that name raised, if there is one.
    """
    cls = type(obj)
    if name[0] != "_" and not hasattr(cls, name) and getattr(cls, "_strict", False):
        message = _unknown(cls, name, "")
        if message is not None:
            raise AttributeError(message)
    object.__getattribute__(obj, name)
    raise AttributeError(name)  # it is there by now


def refuse_no_rule(rule: object) -> None:
    """Refuse what cannot be a parameter's update rule, such as an optimizer.

    Args:
        rule: A rule, what stands in for one, or None.

    Raises:
        TypeError: If it is something else.
    """
    is_class = isinstance(rule, type)
    optimizer = hasattr(type(rule), "create_update_rule")
    # A stand-in need not have everything.
    fits = rule is None or hasattr(rule, "update") or hasattr(rule, "enabled")
    if fits and not is_class and not optimizer:
        return
    name = rule.__name__ if isinstance(rule, type) else type(rule).__name__
    raise TypeError(
        f"[update_rule] got {'the class ' if is_class else ''}{name}, expected an update rule, "
        "such as optimizer.create_update_rule() makes, or None"
    )
