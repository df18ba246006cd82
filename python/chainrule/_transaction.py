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
    begins. A block of :meth:`Optimizer.averaged` lies in the transaction or around it.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._undo: Undo | None = None
        # Each parameter with its rule, and whether what was said of it before counts for another.
        self._rules: list[tuple[Parameter, object, bool]] = []
        self._averaging: object = None  # what parameters held averages for when the block began

    def __enter__(self) -> Transaction:
        optimizer = self._optimizer
        if optimizer.target is None:
            raise RuntimeError("[transaction] the optimizer is not set up: call setup(link) first")
        if self._undo is not None:
            raise RuntimeError("[transaction] the block has been entered already")
        self._averaging = optimizer._averaging
        self._undo = Undo()
        for _, param in each_param(optimizer.target):
            self._undo.keep(param, param.update_rule)
            self._rules.append((param, param.update_rule, param._update_enabled))
        self._counts = {name: getattr(optimizer, name) for name in _COUNTS}
        return self

    def rollback(self) -> None:
        """Put everything back now; the block may go on.

        Raises:
            RuntimeError: Outside the block, or where parameters hold their averages and did not
                when the block began, or the other way round; nothing is changed then.
        """
        if self._undo is None:
            raise RuntimeError("[transaction] rollback outside the block")
        self._refuse_averages()
        self._undo.restore()
        for param, rule, enabled in self._rules:
            if param.update_rule is not rule:
                param._update_enabled = True  # the rule comes back as it was
                param.update_rule = rule
            param._update_enabled = enabled
        for name, value in self._counts.items():
            setattr(self._optimizer, name, value)

    def _refuse_averages(self) -> None:
        """Parameters and states of different steps would come together."""
        if self._optimizer._averaging is self._averaging:
            return
        if self._averaging is None:
            raise RuntimeError(
                "[transaction] rollback: parameters hold their averages: leave the block of "
                "averaged() first"
            )
        raise RuntimeError(
            "[transaction] rollback: the transaction began in a block of averaged() that has been "
            "left, and what it kept are averages"
        )

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
