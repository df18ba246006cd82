"""What a rule goes on from, as arrays that can be handed around, and back."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from chainrule._core import Variable
from chainrule._rule_state import State
from chainrule.optimizer import GradientMethod
from chainrule.update_rule import UpdateRule
from chainrule.variable import Parameter

__all__ = ["TransformationState", "allocate", "read", "write"]

#: Counts and scalars of a rule, float64 as pairs of uint32: JAX has no float64 by default.
_NUMBERS = "numbers"
_MASTER = "master"

Arrays = dict[str, np.ndarray]


class TransformationState(NamedTuple):
    """What :func:`chainrule.jax.transformation` goes on from; a pytree of JAX's arrays.

    Attributes:
        count: Number of updates so far, an int32.
        rules: By the path of a parameter, what its rule keeps: states by their names, and counts
            and other numbers under ``'numbers'``.
    """

    count: Any
    rules: dict[str, dict[str, Any]]


def allocate(optimizer: GradientMethod) -> None:
    """Begin all states of an optimizer anew, from the parameters as they are now.

    Args:
        optimizer: The optimizer, set up.

    Raises:
        TypeError: If a rule keeps something that is no array.
    """
    optimizer.t = 0
    for path, rule, param in _rows(optimizer):
        rule._clear_states()
        rule._state = None
        rule._hook_states = {}
        rule._master_copy = None
        rule.t = rule.skipped = 0
        rule._begin()
        target: Variable = param
        if _is_mastered(rule, param):
            target = Variable(rule._master(param), name=path)
        if rule._states_by_python:
            rule._state = {} if rule._algorithm is None else State(rule)
            target.grad = np.zeros_like(target.array)
            rule.init_state(target)
            target.cleargrad()
            for name, value in rule._state.items():
                if not isinstance(value, np.ndarray):
                    raise TypeError(
                        f"[jax] {path}: state '{name}' of {type(rule).__name__}: got "
                        f"{type(value).__name__}, expected a numpy.ndarray"
                    )
        else:
            rule._init_states(target)
    optimizer._build()
    for hook, pairs in optimizer._first:
        hook._hooked(pairs)


def _rows(optimizer: GradientMethod) -> list[tuple[str, UpdateRule, Parameter]]:
    assert optimizer.target is not None
    return [(path, param.update_rule, param) for path, param in optimizer.target.namedparams()]


def _is_mastered(rule: UpdateRule, param: Parameter) -> bool:
    return rule._fp32_update and param.dtype.itemsize == 2


def _arrays(rule: UpdateRule, param: Parameter) -> Arrays:
    """The arrays that a rule works on, by the names that they have outside."""
    found = dict(rule.state or {})
    if _is_mastered(rule, param):
        found[_MASTER] = rule._master(param)
    for hook, arrays in rule._hook_states.items():
        found.update({f"{hook}/{name}": array for name, array in arrays.items()})
    return found


def _numbers(rule: UpdateRule) -> np.ndarray:
    return np.array([rule.t, rule.skipped, *rule._scalars.values()], np.float64).view(np.uint32)


def read(optimizer: GradientMethod) -> tuple[np.ndarray, dict[str, Arrays]]:
    """Copy what the rules of an optimizer go on from.

    Args:
        optimizer: The optimizer.

    Returns:
        Its count, and arrays by path and name.
    """
    rules = {
        path: {
            **{name: np.array(array) for name, array in _arrays(rule, param).items()},
            _NUMBERS: _numbers(rule),
        }
        for path, rule, param in _rows(optimizer)
    }
    return np.array(optimizer.t, np.int32), rules


def write(optimizer: GradientMethod, count: Any, rules: dict[str, dict[str, Any]]) -> None:
    """Let the rules of an optimizer go on from what was read.

    Args:
        optimizer: The optimizer.
        count: What :func:`read` gave, or arrays of JAX's with the same contents.
        rules: Likewise.

    Raises:
        ValueError: If it was read from rules of other algorithms.
    """
    for path, rule, param in _rows(optimizer):
        own, given = _arrays(rule, param), rules.get(path, {})
        if set(own) | {_NUMBERS} != set(given):
            raise ValueError(
                f"[jax] {path}: the state is another algorithm's: got {_listed(given)}, expected "
                f"{_listed(own)}; begin anew with init"
            )
        for name, array in own.items():
            array[...] = np.asarray(given[name])
        t, skipped, *scalars = np.array(given[_NUMBERS]).view(np.float64).tolist()
        rule.t, rule.skipped = int(t), int(skipped)
        for name, value in zip(rule._scalars, scalars, strict=True):
            rule._set_scalar(name, value)
    optimizer.t = int(count)


def _listed(names: Any) -> str:
    return ", ".join(sorted(set(names) - {_NUMBERS})) or "nothing"
