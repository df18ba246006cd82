"""The configuration of an optimizer in its snapshots.

It is one entry beside those that Chainer knows: a string that holds the data of the optimizer's
plan as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.configuration import config
from chainrule.rules import plain
from chainrule.rules.apply import Application
from chainrule.rules.entries import walk
from chainrule.rules.journal import Journal
from chainrule.rules.plan import describe
from chainrule.serializer import AbstractSerializer, Deserializer, Serializer
from chainrule.serializers.npz import NpzDeserializer

if TYPE_CHECKING:
    from chainrule._optimizer import Optimizer

__all__ = ["KEY", "serialize"]

#: Name of the entry.
KEY = "rules.json"


def _is_positive(value: Any) -> bool:
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return bool(number and value > 0)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


# What an optimizer knows of its loss scale: what it may be, and how to tell.
_LOSS_SCALING: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "_loss_scale": (
        "a positive number or None",
        lambda value: value is None or _is_positive(value),
    ),
    "_loss_scaling_is_dynamic": ("True or False", _is_flag),
    "_loss_scaling_isnan_ever": ("True or False", _is_flag),
    "_loss_scaling_multiplier": ("a positive number", _is_positive),
}


def serialize(optimizer: Optimizer, serializer: AbstractSerializer) -> None:
    """Save or load the configuration of an optimizer.

    Args:
        optimizer: The optimizer, set up.
        serializer: Where to or from.

    Raises:
        ValueError: If the entry is damaged, or holds what does not fit. Nothing is changed then.
        KeyError: If it has parameters, algorithms or hooks that are not there, or lacks some.
        AttributeError: If it has hyperparameters or policies that are not there.
    """
    if isinstance(serializer, Serializer):
        if not config.chainer_semantics:
            serializer(KEY, json.dumps(_describe(optimizer), separators=(",", ":")))
    elif isinstance(serializer, Deserializer):
        text = _read(serializer)
        if text is not None:
            _load(optimizer, serializer, text)


def _describe(optimizer: Optimizer) -> dict[str, Any]:
    assert optimizer.target is not None
    pairs = [(entry, entry.rule) for entry in walk(optimizer.target, optimizer)]
    data = describe(optimizer, pairs)
    for entry, rule in pairs:
        if rule is None:
            continue
        if rule._scalars:
            data["rules"][entry.path]["scalars"] = {
                name: plain.encode(value) for name, value in rule._scalars.items()
            }
        if rule.skipped:
            data["rules"][entry.path]["skipped"] = rule.skipped
    data["loss_scaling"] = {
        name.lstrip("_"): plain.encode(getattr(optimizer, name)) for name in _LOSS_SCALING
    }
    return data


def _read(serializer: Deserializer) -> str | None:
    has = getattr(serializer, "has", None)
    if has is not None and not has(KEY):
        return None
    try:
        value = serializer(KEY, None)
    except KeyError:
        return None  # another deserializer's way of saying so
    return None if value is None else str(np.asarray(value)[()])


def _load(optimizer: Optimizer, serializer: Deserializer, text: str) -> None:
    assert optimizer.target is not None
    prefix = f"[serialize] entry '{getattr(serializer, 'path', '')}{KEY}':"
    if isinstance(serializer, NpzDeserializer):
        prefix = prefix.replace("[serialize]", f"[load_npz] {serializer.report.file}:")
    try:
        data = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{prefix} damaged: {error}") from None
    strict = bool(getattr(serializer, "strict", True))
    with Journal() as journal:
        on_failure = getattr(serializer, "on_failure", None)
        if on_failure is not None:
            on_failure(journal.roll_back)
        application = Application(optimizer, data, journal, strict=strict, prefix=prefix)
        report = application.run()
        for entry in walk(optimizer.target, optimizer):
            skipped = data["rules"].get(entry.path, {}).get("skipped", 0)
            if entry.rule is not None and type(skipped) is int:
                journal.set_plain(entry.rule, "skipped", skipped)
        _load_loss_scaling(optimizer, application, data.get("loss_scaling", {}))
    if isinstance(serializer, NpzDeserializer):
        serializer.report.replaced += report.replaced
        serializer.report.unfit += report.problems


def _load_loss_scaling(optimizer: Optimizer, application: Application, data: Any) -> None:
    if not isinstance(data, dict):
        application.problem(ValueError, f"'loss_scaling': got {data!r}, expected a dict")
        return
    loaded = {name: getattr(optimizer, name) for name in _LOSS_SCALING}
    for name, (expected, is_one) in _LOSS_SCALING.items():
        if name.lstrip("_") not in data:
            continue
        where = f"'loss_scaling': {name.lstrip('_')}"
        fits, value = application.decode(where, data[name.lstrip("_")])
        if fits and is_one(value):
            loaded[name] = value
        elif fits:
            application.problem(ValueError, f"{where}: got {value!r}, expected {expected}")
    if loaded["_loss_scaling_is_dynamic"] and loaded["_loss_scale"] is None:
        application.problem(
            ValueError, "'loss_scaling': loss_scale: got None, expected a number to go on from"
        )
        return
    for name, value in loaded.items():
        if value != getattr(optimizer, name):
            application.journal.set_plain(optimizer, name, value)
            optimizer._changed()
