"""Names that are not known, and what was perhaps meant."""

from __future__ import annotations

import difflib
import functools
import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from chainrule import _core
from chainrule.configuration import config

__all__ = ["listed", "refuse_misspelt", "refuse_no_rule", "refuse_unknown", "suggestion"]

#: What is set on an optimizer of whose algorithm it is none by mistake only.
_WIDESPREAD = ("lr", "alpha", "eps", "momentum", "beta1", "beta2", "nesterov", "amsgrad")
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


def _can_be_set(cls: type, name: str) -> bool:
    attribute = getattr(cls, name)
    return not isinstance(attribute, property) or attribute.fset is not None


@functools.cache
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
        known = {key: each for key, each in known.items() if key != bare}  # it can only be read
    if bare in known:
        return known[bare] if len(bare) > 1 else None
    for words in _SYNONYMS:
        if bare in map(_bare, words):
            return next((known[_bare(word)] for word in words if word in fields), None)
    for field in map(_bare, fields):
        swapped = sorted(bare) == sorted(field)
        shorter = len(field) > 3 and len(bare) == len(field) - 1
        if swapped or (
            shorter and any(bare == field[:i] + field[i + 1 :] for i in range(len(field)))
        ):
            return known[field]
    doubled = [each for each in known if _once(each) == _once(bare)]
    likely = [each for each in known if not _may_stand_beside(bare, each)]
    near = doubled or difflib.get_close_matches(bare, likely, 1, 0.83)
    return known[near[0]] if near else None


def _once(text: str) -> str:
    return "".join(letter for letter, _ in itertools.groupby(text))


def _may_stand_beside(bare: str, known: str) -> bool:
    """Whether a name may be meant that is like a known one: `epochs`, `target_net`, `average`."""
    last_is_missing = len(bare) >= 8 and len(known) == len(bare) + 1
    return known in bare or (bare in known and not last_is_missing)


@functools.lru_cache(4096)
def _unknown(cls: type, name: str, to_set: str) -> str | None:
    """Say what is wrong with a name; None where it is nobody's business."""
    meant, fields = _meant(cls, name), _names_of(cls)[0]
    widespread = map(_bare, (*_WIDESPREAD, *itertools.chain(*_SYNONYMS)))
    if meant is None and not (fields and _bare(name) in widespread):
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
    cls: Any = type(obj)
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
    cls: Any = type(obj)
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
