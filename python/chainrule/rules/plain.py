"""Values, hooks and algorithms as data that JSON can hold, and back."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule._core import Expression, Hyperparameter
from chainrule.rules.entries import native_name
from chainrule.rules.patterns import suggestion
from chainrule.update_rule import UpdateRule

__all__ = [
    "Opaque",
    "algorithms",
    "decode",
    "encode",
    "hook_arguments",
    "hook_classes",
    "hook_kind",
    "is_of",
    "make_hook",
    "native_algorithm",
]


class Opaque(ValueError):
    """Raised for what plain data can only name, not hold."""


def encode(value: Any) -> Any:
    """Write a value as plain data, such that :func:`decode` gives the same bits and type.

    Args:
        value: A number, a string, None, an expression, or lists, tuples and dicts of these.

    Returns:
        What JSON can hold. An object of another kind is only named: ``{"object": "module.Class"}``.

    Example:
        >>> encode(0.1), encode(float("inf")), encode((1, 2))
        (0.1, {'float': 'inf'}, {'tuple': [1, 2]})
    """
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, Expression):
        return {"expression": value.to_data()}
    if isinstance(value, np.generic) and value.dtype.names is None:
        plain = value.item()
        if type(plain) not in (bool, int, str, float) and value.dtype.itemsize <= 2:
            plain = float(value)  # bfloat16
        if type(plain) in (bool, int, str, float):
            return {"numpy": value.dtype.name, "value": encode(plain)}
    if isinstance(value, np.dtype):
        return {"dtype": value.name}
    if type(value) is list:
        return {"list": [encode(each) for each in value]}
    if type(value) is tuple:
        return {"tuple": [encode(each) for each in value]}
    if type(value) is dict and all(type(key) is str for key in value):
        return {"dict": {key: encode(each) for key, each in value.items()}}
    return {"object": f"{type(value).__module__}.{type(value).__qualname__}"}


def decode(data: Any) -> Any:
    """Read a value that :func:`encode` wrote.

    Args:
        data: The data.

    Returns:
        The value.

    Raises:
        Opaque: If it only names an object.
        ValueError: If it is no such data.
    """
    if data is None or isinstance(data, (bool, int, float, str)):
        return data
    if not isinstance(data, dict) or not data:
        raise ValueError(f"[plan] not a value: got {data!r}")
    kind = next(iter(data))
    if set(data) != ({"numpy", "value"} if "numpy" in data else {kind}):
        raise ValueError(f"[plan] not a value: got {data!r}")
    try:
        if "numpy" in data:
            return np.dtype(data["numpy"]).type(decode(data["value"]))
        content = data[kind]
        if kind == "float":
            return float(content)
        if kind == "dtype":
            return np.dtype(content)
        if kind in ("list", "tuple"):
            return {"list": list, "tuple": tuple}[kind](decode(each) for each in content)
        if kind == "dict":
            return {str(key): decode(each) for key, each in content.items()}
        if kind == "expression":
            return Expression.from_data(content)
    except (TypeError, AttributeError) as error:
        raise ValueError(f"[plan] not a value: got {data!r}: {error}") from error
    if kind == "object":
        raise Opaque(f"an object of class {content}, which plain data cannot hold")
    raise ValueError(
        f"[plan] not a value: got {data!r}"
        + suggestion(str(kind), ("float", "numpy", "dtype", "list", "tuple", "dict", "expression"))
    )


def strict_name(hyperparam: Hyperparameter) -> str | None:
    """Name the algorithm whose names alone can be set.

    Args:
        hyperparam: The values.

    Returns:
        Its name; None where any name can be set.
    """
    algorithm = hyperparam.__getstate__()[1]
    return algorithm if algorithm is None or isinstance(algorithm, str) else algorithm.name


@functools.cache
def algorithms() -> Mapping[str, type[UpdateRule]]:
    """List the built-in rules by the names of their optimizers.

    Returns:
        Their classes; AdamW, AMSGrad and others have that of Adam.
    """
    from chainrule import optimizers

    classes = {name: getattr(optimizers, name)._rule_class for name in optimizers.__all__}
    return {name: rule for name, rule in classes.items() if rule is not None}


def native_algorithm(name: str) -> str:
    """Give the algorithm that the rules of a built-in optimizer have.

    Args:
        name: The optimizer's name.

    Returns:
        Such as ``'Adam'`` for ``'AdamW'``; other names as they are.
    """
    rule = algorithms().get(name)
    return name if rule is None else str(rule._algorithm)


def is_of(rule: UpdateRule, name: str) -> bool:
    """Tell whether a rule has the algorithm that a plan names.

    Args:
        rule: The rule.
        name: The name in the plan.

    Returns:
        Whether it has, under this name or another.
    """
    return native_name(rule) == native_algorithm(name)


@functools.cache
def hook_classes() -> Mapping[str, type]:
    """List the built-in hooks by name.

    Returns:
        Their classes.
    """
    from chainrule import optimizer_hooks

    members = {name: getattr(optimizer_hooks, name) for name in optimizer_hooks.__all__}
    return {name: member for name, member in members.items() if inspect.isclass(member)}


@functools.cache
def _arguments_of(cls: Any) -> tuple[str, ...]:
    return tuple(inspect.signature(cls).parameters)


def _builtin(hook: Any) -> type | None:
    """The built-in class that a hook is of; the old names in chainrule.optimizer count too."""
    cls: Any = type(hook)
    if cls.__module__ == "chainrule.optimizer":
        cls = cls.__bases__[0]
    return cls if hook_classes().get(cls.__name__) is cls else None


def hook_arguments(hook: Any) -> dict[str, Any] | None:
    """Tell what a built-in hook could be made from again.

    Args:
        hook: The hook.

    Returns:
        Encoded arguments by name; None where it is no built-in hook, or holds what plain data
        cannot, such as a function of the user's.
    """
    from chainrule.optimizer_hooks import exponential_decay_noise

    cls = _builtin(hook)
    if cls is None:
        return None
    arguments = {}
    for name in _arguments_of(cls):
        value = getattr(hook, name, inspect)
        if value is exponential_decay_noise:
            continue  # the default
        arguments[name] = encode(value)
        if _opaque(arguments[name]):
            return None
    return arguments


def _opaque(data: Any) -> bool:
    if isinstance(data, dict):
        return "object" in data or any(map(_opaque, data.values()))
    return isinstance(data, list) and any(map(_opaque, data))


def hook_kind(hook: Any) -> str:
    """Name the class of a hook as plans do.

    Args:
        hook: The hook.

    Returns:
        Name of a built-in hook, or module and name of a user's function or class.
    """
    cls = _builtin(hook)
    if cls is not None:
        return cls.__name__
    named = hook if hasattr(hook, "__qualname__") else type(hook)
    return f"{named.__module__}.{named.__qualname__}"


def make_hook(kind: str, arguments: Mapping[str, Any]) -> Any:
    """Make a built-in hook.

    Args:
        kind: Its name.
        arguments: Encoded arguments by name.

    Returns:
        The hook.

    Raises:
        KeyError: If there is none of this name.
        ValueError: If the arguments do not fit.
    """
    cls: Any = hook_classes().get(kind)
    if cls is None:
        raise KeyError(f"no hook '{kind}'" + suggestion(kind, hook_classes()))
    for name in arguments:
        if name not in _arguments_of(cls):
            raise ValueError(
                f"hook {kind} has no argument '{name}'" + suggestion(name, _arguments_of(cls))
            )
    try:
        return cls(**{name: decode(value) for name, value in arguments.items()})
    except TypeError as error:
        raise ValueError(f"hook {kind}: {error}") from None
