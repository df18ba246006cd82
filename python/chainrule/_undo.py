"""Putting back what an update has changed, where Python code in it fails."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from chainrule import _core

if TYPE_CHECKING:
    from chainrule.update_rule import UpdateRule
    from chainrule.variable import Parameter

__all__ = ["Undo", "add_note"]

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
