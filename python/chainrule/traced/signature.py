"""What a function's signature declares: states, hyperparameters, whether it counts updates."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from chainrule._core import Hyperparameter
from chainrule._rule_state import SCALE
from chainrule.optimizer import GradientMethod

__all__ = ["Signature", "read_signature"]

# Names under which rules save something of their own.
_TAKEN_STATES = ("t", "expression", "fp32_param")


class Signature(NamedTuple):
    """What a function's signature says about the rule."""

    states: dict[str, float]  # first values
    fields: dict[str, float | bool]  # defaults
    takes_t: bool


def read_signature(function: Callable[..., Any], name: str) -> Signature:
    """Read a function's signature, or say what is wrong with it.

    Args:
        function: The function.
        name: Name of the rule, for errors.

    Returns:
        What it declares.

    Raises:
        TypeError: If it is not that of a rule.
    """

    def refuse(what: str) -> None:
        code = getattr(function, "__code__", None)
        where = f"\n  {code.co_filename}:{code.co_firstlineno}" if code else ""
        raise TypeError(f"[elementwise_rule] {name}: {what}{where}")

    def number(parameter: inspect.Parameter, what: str) -> float:
        if not isinstance(parameter.default, int | float):
            refuse(f"{what} '{parameter.name}' is no number: got {parameter.default!r}")
        try:
            float(parameter.default)
        except OverflowError:
            refuse(f"{what} '{parameter.name}' is too large for a float")
        return parameter.default

    positional: list[inspect.Parameter] = []
    fields: dict[str, float | bool] = {}
    takes_t = False
    for parameter in inspect.signature(function).parameters.values():
        missing = parameter.default is parameter.empty
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            refuse(f"'*{parameter.name}' cannot be traced: name states and hyperparameters")
        elif parameter.kind is not parameter.KEYWORD_ONLY:
            positional.append(parameter)
        elif parameter.name == "t" and missing:
            takes_t = True
        elif missing:
            refuse(f"the hyperparameter '{parameter.name}' has no default")
        elif hasattr(GradientMethod, parameter.name) or hasattr(Hyperparameter, parameter.name):
            refuse(f"a hyperparameter cannot be called '{parameter.name}': optimizers have that")
        else:
            fields[parameter.name] = number(parameter, "the default of")
    if len(positional) < 2 or any(p.default is not p.empty for p in positional[:2]):
        refuse("expected a function of p, g, states, and after * hyperparameters with defaults")
    states = {}
    for parameter in positional[2:]:
        if parameter.name in _TAKEN_STATES:
            refuse(f"a state cannot be called '{parameter.name}': rules save their own under it")
        missing = parameter.default is parameter.empty
        states[parameter.name] = 0.0 if missing else number(parameter, "the first value of")
    for state in states:
        if state + SCALE in states:
            refuse(
                f"a state cannot be called '{state}{SCALE}' beside '{state}': the scales of that "
                "one are saved under it where states have 8 bits"
            )
    return Signature(states, fields, takes_t)
