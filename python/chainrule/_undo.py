"""Putting back what an update has changed, where Python code in it fails."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from chainrule import _core
from chainrule._names import listed
from chainrule._walk import each_param

if TYPE_CHECKING:
    from chainrule.optimizer import GradientMethod
    from chainrule.update_rule import UpdateRule
    from chainrule.variable import Parameter

__all__ = ["Undo", "add_note", "before_update", "not_kept"]

# Name of a hook -> name of an array -> the array and a copy of it.
_HookStates = dict[str, dict[str, tuple[Any, Any]]]


def add_note(error: BaseException, text: str) -> None:
    """Add a line to an exception, which stays of its type.

    Args:
        error: The exception.
        text: The line; it stands in ``error.__notes__`` and in the traceback.
    """
    if hasattr(error, "add_note"):
        error.add_note(text)
        return
    # Python 3.10 prints no notes, but causes.
    notes = [*getattr(error, "__notes__", []), text]
    error.__notes__ = notes
    if error.__cause__ is None or isinstance(error.__cause__, _Notes):
        error.__cause__ = _Notes("\n".join(notes))


class _Notes(RuntimeError):
    """Carries the notes of another exception."""


def _copied(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:  # what cannot be copied is put back as it is
        return value


def _copy_of(array: Any) -> Any:
    on_gpu = isinstance(array, _core.Variable)
    return _core.Variable._from_dlpack(array, None, True) if on_gpu else array.copy()


def _write(array: Any, values: Any) -> None:
    if isinstance(array, _core.Variable):
        array.copydata(values)
    else:
        array[...] = values


class Undo:
    """Copies of parameters, gradients, states and counts.

    States that a rule keeps in Python are copied too, and the arrays that hooks keep for it; other
    attributes of rules and hooks are not.
    """

    def __init__(self) -> None:
        self._native = _core.Undo()
        self._states: list[tuple[UpdateRule, Any, dict[str, tuple[Any, Any]]]] = []
        self._hooks: list[tuple[UpdateRule, _HookStates]] = []

    def keep(self, param: Parameter, rule: UpdateRule | None, gradient_only: bool = False) -> None:
        """Remember a parameter and its rule.

        Args:
            param: The parameter.
            rule: Its rule, or None.
            gradient_only: Whether nothing but the gradient can change.
        """
        self._native.keep(param, cast("_core.UpdateRule", rule), gradient_only)
        if rule is None or gradient_only:
            return
        state = rule._state
        values = {} if state is None else rule._states_in_python()
        self._states.append((rule, state, {k: (v, _copied(v)) for k, v in values.items()}))
        kept = {
            hook: {name: (array, _copy_of(array)) for name, array in arrays.items()}
            for hook, arrays in rule._hook_states.items()
        }
        self._hooks.append((rule, kept))

    def restore(self) -> None:
        """Put everything back, arrays in place."""
        self._native.restore()
        for rule, kept in self._hooks:
            for arrays in kept.values():
                for array, was in arrays.values():
                    _write(array, was)
            rule._hook_states = {
                hook: {name: array for name, (array, _) in arrays.items()}
                for hook, arrays in kept.items()
            }
        _core.structure_changed()  # hooks look for their arrays again
        for rule, state, values in self._states:
            rule._state = state
            if state is None:
                continue
            for name in list(rule._states_in_python()):
                if name not in values:
                    del state[name]
            for name, (value, was) in values.items():
                if isinstance(value, np.ndarray):
                    if value.flags.writeable:
                        value[...] = was
                    rule._states_in_python()[name] = value
                else:
                    rule._states_in_python()[name] = _copied(was)


def before_update(optimizer: GradientMethod, chainer: bool) -> Undo:
    """Copy what Python code may change before the native sweep, which is last.

    Code on one rule is there for its own parameter: all others are copied only where a hook on the
    optimizer may change them.

    Args:
        optimizer: The optimizer that updates.
        chainer: Whether it does so as Chainer does.

    Returns:
        The copies.
    """
    undo, changes = Undo(), optimizer._changes
    hosted = {id(param) for _, param, _ in optimizer._in_python}
    assert optimizer.target is not None
    if changes is not None or chainer:
        for _, param in each_param(optimizer.target):
            if id(param) in hosted:
                continue
            if changes is not None:
                undo.keep(param, param.update_rule, changes == "gradients")
            elif not param._has_grad:  # gets zeros, as in Chainer
                undo.keep(param, None, gradient_only=True)
    for _, param, rule in optimizer._in_python:
        undo.keep(param, rule)
    return undo


def not_kept(optimizer: GradientMethod) -> str:
    """Say what :func:`before_update` does not copy, though Python code could have changed it.

    Args:
        optimizer: The optimizer that updates.

    Returns:
        The end of a sentence; nothing where all is copied.
    """
    if optimizer._changes == "everything" or not optimizer._in_python:
        return ""
    paths = listed([path for path, _, _ in optimizer._in_python])
    return f", but for what Python code on the rules of {paths} wrote to other parameters"
