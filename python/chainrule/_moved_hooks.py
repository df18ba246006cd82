"""The hooks as ``chainrule.optimizer`` has them, where Chainer once had its own."""

from __future__ import annotations

import warnings
from typing import Any

from chainrule import optimizer_hooks

__all__ = [
    "GradientClipping",
    "GradientHardClipping",
    "GradientNoise",
    "Lasso",
    "WeightDecay",
    "make_deprecation_message",
]


def make_deprecation_message(module_name: str) -> str:
    """Say where a hook of the old ``chainer.optimizer`` is now.

    Args:
        module_name: Name of its class.

    Returns:
        The text of the warning.
    """
    return (
        f"chainer.optimizer.{module_name} is deprecated from v4. "
        f"Use chainer.optimizer_hooks.{module_name} instead."
    )


def _moved(base: type) -> type:
    """Make a class under its old name: it warns, and is otherwise the same."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        warnings.warn(make_deprecation_message(base.__name__), DeprecationWarning, stacklevel=2)
        base.__init__(self, *args, **kwargs)  # type: ignore[misc]

    members = {"__init__": __init__, "__doc__": base.__doc__, "__module__": "chainrule.optimizer"}
    if "_kind" in vars(base):
        members["_kind"] = base._kind  # type: ignore[attr-defined]
    return type(base.__name__, (base,), members)


GradientClipping = _moved(optimizer_hooks.GradientClipping)
GradientHardClipping = _moved(optimizer_hooks.GradientHardClipping)
GradientNoise = _moved(optimizer_hooks.GradientNoise)
Lasso = _moved(optimizer_hooks.Lasso)
WeightDecay = _moved(optimizer_hooks.WeightDecay)
