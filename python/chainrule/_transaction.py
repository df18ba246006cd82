"""Taking back updates: parameters, states and counts as they were."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING

from chainrule._undo import Undo
from chainrule._walk import each_param

if TYPE_CHECKING:
    from chainrule._optimizer import Optimizer
    from chainrule.variable import Parameter

__all__ = ["Transaction"]

# What an optimizer counts; loss scaling learns from every update.
_COUNTS = ("t", "epoch", "_loss_scale", "_loss_scaling_isnan", "_loss_scaling_isnan_ever")


class Transaction:
    """A block whose updates are taken back if it raises or asks for it.

    Restores parameters and gradients, the states, counts and scalars of their rules and what hooks
    keep for them, and the optimizer's counts, bit for bit. Everything is copied when the block
    begins.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._undo: Undo | None = None
        self._rules: list[tuple[Parameter, object]] = []

    def __enter__(self) -> Transaction:
        optimizer = self._optimizer
        if optimizer.target is None:
            raise RuntimeError("[transaction] the optimizer is not set up: call setup(link) first")
        if self._undo is not None:
            raise RuntimeError("[transaction] the block has been entered already")
        self._undo = Undo()
        for _, param in each_param(optimizer.target):
            self._undo.keep(param, param.update_rule)
            self._rules.append((param, param.update_rule))
        self._counts = {name: getattr(optimizer, name) for name in _COUNTS}
        return self

    def rollback(self) -> None:
        """Put everything back now; the block may go on.

        Raises:
            RuntimeError: Outside the block.
        """
        if self._undo is None:
            raise RuntimeError("[transaction] rollback outside the block")
        self._undo.restore()
        for param, rule in self._rules:
            if param.update_rule is not rule:
                param.update_rule = rule
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
        self._undo = None
        self._rules = []
