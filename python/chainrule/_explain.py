"""Where a value comes from, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule import _core
from chainrule._core import Expression, Hyperparameter
from chainrule._names import suggestion
from chainrule.rules.entries import algorithm_name
from chainrule.rules.values import known_names

if TYPE_CHECKING:
    from chainrule._optimizer import Optimizer
    from chainrule.update_rule import UpdateRule

__all__ = ["explain"]


def _at(expression: Expression, step: int) -> str:
    return f" at step {step}" if expression.uses_step else ""


def _shown(value: Any) -> str:
    return repr(float(value)) if isinstance(value, np.floating) else repr(value)


def _levels(hyperparam: Hyperparameter, name: str) -> list[tuple[Hyperparameter, Any, str | None]]:
    """List who sets a name, the nearest first, with value and origin."""
    found = []
    level: Hyperparameter | None = hyperparam
    while level is not None:
        own = level._own(name)
        if own is not None:
            found.append((level, *own))
        level = level.parent
    return found


def _where(
    level: Hyperparameter, origin: str | None, rule: UpdateRule, optimizer: Optimizer
) -> str:
    if level is rule.hyperparam:
        return f"set by {origin}" if origin else "set on the rule"
    if level is getattr(optimizer, "hyperparam", None):
        return f"set by {origin} on the optimizer" if origin else "from the optimizer"
    if origin is not None and origin.startswith("default of "):
        return f"the {origin}"
    return f"set by {origin} on a parent" if origin else "from a parent"


def _formula(levels: list[tuple[Hyperparameter, Any, str | None]], name: str, step: int) -> str:
    """Say what the first level's value is made of: ``0.1`` or ``0.01 = inherit(0.1) * 0.1``."""
    _, value, _ = levels[0]
    if not isinstance(value, Expression):
        return _shown(value)
    inherited, number = "inherit", None
    if value.uses_inherit:
        if len(levels) == 1:
            raise AttributeError(f"[explain] no parent has {name!r} to inherit: got {value!r}")
        inherited = f"inherit({_formula(levels[1:], name, step)})"
        number = _number(levels[1:], step)
    # Rounded for the eye; what was set is shown as it is.
    return f"{value(step, number):.6g} = {value._text(inherited)}{_at(value, step)}"


def _number(levels: list[tuple[Hyperparameter, Any, str | None]], step: int) -> float:
    _, value, _ = levels[0]
    if not isinstance(value, Expression):
        return float(value)
    return value(step, _number(levels[1:], step) if value.uses_inherit else None)


def _explain_enabled(rule: UpdateRule, step: int) -> str:
    when, origin = rule._enabled_when, rule._enabled_origin
    by = f"set by {origin}" if origin else "set on the rule"
    if when is not None:
        return f"{when(step) != 0} = {when._text()}{_at(when, step)}, {by}"
    return f"{rule.enabled}, {by}" if origin or not rule.enabled else "True"


def explain(optimizer: Optimizer, path: str, name: str) -> str:
    """Do what :meth:`chainrule.optimizer.Optimizer.explain` says."""
    if optimizer.target is None:
        raise RuntimeError(f"[explain] {type(optimizer).__name__} is not set up: call setup(link)")
    if not isinstance(path, str) or not isinstance(name, str):
        raise TypeError(
            f"[explain] got {type(path).__name__} and {type(name).__name__}, expected the path of "
            "a parameter and the name of a value"
        )
    params = dict(optimizer.target.namedparams())
    if path not in params:
        near = _core.nearest(path, list(params))
        hint = f"; did you mean {near!r}?" if near else ""
        raise KeyError(f"[explain] no such parameter: got {path!r}{hint}")
    rule: UpdateRule | None = params[path].update_rule
    if rule is None:
        raise KeyError(f"[explain] {path} has no update rule")
    # A rule that was attached by hand follows the optimizer's count from the next update on.
    step = optimizer._clock.step
    if name == "enabled":
        return _explain_enabled(rule, step)
    levels = _levels(rule.hyperparam, name)
    if not levels:
        known = known_names(rule)
        if name in known:
            raise AttributeError(
                f"[explain] {path}: hyperparameter {name!r} of {algorithm_name(rule)} is not set, "
                "neither on the rule nor on a parent"
            )
        known.append("enabled")
        raise AttributeError(
            f"[explain] {path}: {algorithm_name(rule)} has no hyperparameter {name!r}"
            + suggestion(name, known)
        )
    level, _, origin = levels[0]
    return f"{_formula(levels, name, step)}, {_where(level, origin, rule, optimizer)}"
