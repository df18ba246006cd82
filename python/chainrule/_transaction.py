"""Taking back updates: parameters, states and counts as they were."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule import _core

if TYPE_CHECKING:
    from chainrule._optimizer import Optimizer
    from chainrule.update_rule import UpdateRule
    from chainrule.variable import Parameter

__all__ = ["Transaction"]

# What an optimizer counts; loss scaling learns from every update.
_COUNTS = ("t", "epoch", "_loss_scale", "_loss_scaling_isnan", "_loss_scaling_isnan_ever")


class _Saved:
    """One parameter with its rule, as they are now."""

    def __init__(self, param: Parameter) -> None:
        self.param = param
        self.array = None if param.array is None else param.array.copy()
        self.rule: UpdateRule | None = param.update_rule
        if self.rule is not None:
            self.numbers = (self.rule.t, self.rule.skipped, self.rule._scalars)
            self.state = None if self.rule.state is None else _copies(self.rule.state)
            self.master = _copy(self.rule._master_copy)
            self.hook_states = _hook_copies(self.rule._hook_states)

    def restore(self) -> None:
        param, rule = self.param, self.rule
        if self.array is None:
            param.array = None
        elif param.array is not None and param.array.shape == self.array.shape:
            param.array[...] = self.array  # whoever looks at the memory sees it
        else:
            param.array = self.array
        if param.update_rule is not rule:
            param.update_rule = rule
        if rule is None:
            return
        rule.t, rule.skipped, scalars = self.numbers
        for name, value in scalars.items():
            rule._set_scalar(name, value)
        rule._restore_state(self.state)
        rule._master_copy = self.master
        rule._hook_states = _hook_copies(self.hook_states)


def _hook_copies(states: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {hook: _copies(arrays) for hook, arrays in states.items()}


def _copies(state: Any) -> dict[str, Any]:
    return {name: _copy(value) for name, value in state.items()}


def _copy(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value


class Transaction:
    """A block whose updates are taken back if it raises or asks for it.

    Restores the parameters, the states, counts and scalars of their rules, what hooks keep for
    them, and the optimizer's counts, bit for bit. Everything is copied when the block begins.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._saved: list[_Saved] | None = None

    def __enter__(self) -> Transaction:
        optimizer = self._optimizer
        if optimizer.target is None:
            raise RuntimeError("[transaction] the optimizer is not set up: call setup(link) first")
        if self._saved is not None:
            raise RuntimeError("[transaction] the block has been entered already")
        seen: set[int] = set()
        self._saved = []
        for param in optimizer.target.params():
            if id(param) not in seen:
                seen.add(id(param))
                self._saved.append(_Saved(param))
        self._counts = {name: getattr(optimizer, name) for name in _COUNTS}
        return self

    def rollback(self) -> None:
        """Put everything back now; the block may go on.

        Raises:
            RuntimeError: Outside the block.
        """
        if self._saved is None:
            raise RuntimeError("[transaction] rollback outside the block")
        for saved in self._saved:
            saved.restore()
        _core.structure_changed()  # hooks look for their arrays anew
        for name, value in self._counts.items():
            setattr(self._optimizer, name, value)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        if exc_type is not None:
            self.rollback()
        self._saved = None
