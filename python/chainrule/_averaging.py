"""Parameters that hold their averages for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule._walk import each_param
from chainrule.optimizer_hooks._weights import WeightHook
from chainrule.update_rule import UpdateRule

if TYPE_CHECKING:
    from chainrule._optimizer import Optimizer
    from chainrule.variable import Parameter

__all__ = ["averaged"]


def _average_of(param: Parameter, rule: UpdateRule, hooks: Iterable[tuple[str, Any]]) -> Any:
    """What the rule's hooks, the optimizer's or the rule have for a parameter; the last first."""
    for name, hook in (*reversed(list(rule.hooks.items())), *hooks):
        if isinstance(hook, WeightHook):
            hook._key = name
        offer = getattr(hook, "averaged_value", None)
        value = None if offer is None else offer(rule, param)
        if value is not None:
            return value
    return rule.averaged_value(param)


def _averages(optimizer: Optimizer) -> Iterator[tuple[np.ndarray, np.ndarray, Parameter]]:
    """Walk over parameters that have an average: their array, the average, themselves."""
    if optimizer.target is None:
        raise RuntimeError(
            f"[averaged] {type(optimizer).__name__} is not set up: call setup(link) first"
        )
    hookable = optimizer._hooks()
    hooks = [*reversed(hookable.items("post")), *reversed(hookable.items("pre"))]
    for path, param in each_param(optimizer.target, False):
        rule = param.update_rule
        if not isinstance(rule, UpdateRule):
            continue
        average = _average_of(param, rule, hooks)
        if average is None:
            continue
        if average.shape != param.shape:
            raise ValueError(
                f"[averaged] {path}: average of the wrong shape: got {average.shape}, expected "
                f"{param.shape}"
            )
        if not param.array.flags.writeable:
            raise ValueError(f"[averaged] {path}: the parameter's array is read-only")
        yield param.array, average, param


@contextlib.contextmanager
def averaged(optimizer: Optimizer) -> Iterator[None]:
    """Let the parameters of an optimizer hold their averages; see :meth:`Optimizer.averaged`."""
    if optimizer._averaging:
        yield  # they do already
        return
    # Everything is looked up and kept before the first parameter changes.
    kept = [(*found, found[0].copy(), found[2].update_rule) for found in _averages(optimizer)]
    optimizer._averaging = True
    try:
        for array, average, _, _, rule in kept:
            rule._lent = True
            array[...] = average
        yield
    finally:
        optimizer._averaging = False
        for array, _, param, before, rule in kept:
            rule._lent = False
            if not array.flags.writeable:  # somebody froze it in the block
                array = before
            array[...] = before
            if param.array is not array:
                param.array = array
