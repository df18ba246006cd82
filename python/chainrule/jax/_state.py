"""What a rule goes on from, as arrays that can be handed around, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from chainrule._core import Variable
from chainrule._rule_state import State
from chainrule.optimizer import GradientMethod
from chainrule.update_rule import UpdateRule
from chainrule.variable import Parameter

__all__ = ["TransformationState", "allocate", "read", "write"]

_MASTER = "master"

Arrays = dict[str, np.ndarray]


class TransformationState(NamedTuple):
    """What :func:`chainrule.jax.transformation` goes on from; a pytree of JAX's arrays.

    Attributes:
        count: Number of updates so far, an int32.
        numbers: Counts and scalars of all rules: the bits of float64 as pairs of uint32, since JAX
            has no float64 by default.
        rules: By the path of a parameter, the arrays that its rule keeps, by name.
    """

    count: Any
    numbers: Any
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
            target = rule._master(param)
            target.name = path
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
    for name, hook, pairs in optimizer._first:
        hook._hooked(pairs, name)


def _rows(optimizer: GradientMethod) -> list[tuple[str, UpdateRule, Parameter]]:
    assert optimizer.target is not None
    return [(path, param.update_rule, param) for path, param in optimizer.target.namedparams()]


def _is_mastered(rule: UpdateRule, param: Parameter) -> bool:
    return rule._fp32_update and param.dtype.itemsize == 2


def _arrays(rule: UpdateRule, param: Parameter) -> Arrays:
    """The arrays that a rule works on, by the names that they have outside."""
    found = dict(rule.state or {})
    if _is_mastered(rule, param):
        found[_MASTER] = rule._master(param).array
    for hook, arrays in rule._hook_states.items():
        found.update({f"{hook}/{name}": array for name, array in arrays.items()})
    return found


def read(
    optimizer: GradientMethod,
    own: Mapping[str, Arrays] | None = None,
    out: TransformationState | None = None,
) -> TransformationState:
    """Copy what the rules of an optimizer go on from.

    Args:
        optimizer: The optimizer.
        own: What :func:`write` has given before the update, to be looked for no more.
        out: Arrays to copy it to, if any.

    Returns:
        A state of new NumPy arrays, or ``out``.
    """
    numbers: list[float] = []
    arrays: dict[str, Arrays] = {}
    for path, rule, param in _rows(optimizer):
        numbers += (rule.t, rule.skipped, *rule._scalars.values())
        # Python code may have put others in their place.
        if own is None or rule._states_by_python or rule._hook_states:
            found = _arrays(rule, param)
        else:
            found = own[path]
        if out is None:
            arrays[path] = {name: np.array(array) for name, array in found.items()}
            continue
        for name, array in found.items():
            out.rules[path][name][...] = array
    bits = np.array(numbers, np.float64).view(np.uint32)
    if out is None:
        return TransformationState(np.array(optimizer.t, np.int32), bits, arrays)
    out.count[...] = optimizer.t
    out.numbers[...] = bits
    return out


def write(optimizer: GradientMethod, state: TransformationState) -> dict[str, Arrays]:
    """Let the rules of an optimizer go on from what was read.

    Args:
        optimizer: The optimizer.
        state: What :func:`read` gave, or arrays of JAX's with the same contents.

    Returns:
        The rules' own arrays, by path and name.

    Raises:
        ValueError: If it was read from rules of other algorithms, or of other shapes.
        TypeError: If its numbers are no longer the bits that they were.
    """
    rows = _rows(optimizer)
    own = {path: _arrays(rule, param) for path, rule, param in rows}
    _check(state, own, 2 * sum(2 + len(rule._scalars) for _, rule, _ in rows))
    numbers = np.array(state.numbers).view(np.float64).tolist()
    place = 0
    for path, rule, _ in rows:
        for name, array in own[path].items():
            array[...] = np.asarray(state.rules[path][name])
        rule.t, rule.skipped = int(numbers[place]), int(numbers[place + 1])
        place += 2
        for name in rule._scalars:
            rule._set_scalar(name, numbers[place])
            place += 1
    optimizer.t = int(state.count)
    return own


def _check(state: TransformationState, own: Mapping[str, Arrays], words: int) -> None:
    """Refuse a state that is not one of rules with these arrays, and so many words of numbers."""
    unknown = state.rules.keys() - own.keys()
    if unknown:
        raise ValueError(f"[jax] the state has other parameters: got {_listed(unknown)} too")
    for path, arrays in own.items():
        given = state.rules.get(path, {})
        if arrays.keys() != given.keys():
            raise ValueError(
                f"[jax] {path}: the state is another algorithm's: got {_listed(given)}, expected "
                f"{_listed(arrays)}; begin anew with init"
            )
        for name, array in arrays.items():
            if np.shape(given[name]) != array.shape:
                raise ValueError(
                    f"[jax] {path}: state '{name}': got shape {np.shape(given[name])}, expected "
                    f"{array.shape}"
                )
    if np.shape(state.count) != ():
        raise ValueError(f"[jax] state.count: got shape {np.shape(state.count)}, expected ()")
    if state.numbers.dtype != np.uint32:
        raise TypeError(f"[jax] state.numbers: got {state.numbers.dtype}, expected uint32")
    if np.shape(state.numbers) != (words,):
        raise ValueError("[jax] the state is another algorithm's; begin anew with init")


def _listed(names: Any) -> str:
    return ", ".join(sorted(names)) or "nothing"
