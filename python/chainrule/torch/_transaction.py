"""Transactions on tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainrule._transaction import Transaction
from chainrule.torch._parameter import reach_tensors

if TYPE_CHECKING:
    from chainrule.torch._facade import Optimizer

__all__ = ["TensorTransaction"]


class TensorTransaction(Transaction):
    """Takes steps back, in order with what PyTorch does to the tensors.

    Args:
        optimizer: The optimizer.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        super().__init__(optimizer.native)
        self._facade = optimizer

    def rollback(self) -> None:
        """Put everything back now; see :meth:`chainrule.Optimizer.transaction`."""
        self._facade._tensors.ready()
        super().rollback()
        self._facade._written()
        reach_tensors(self._facade._params)
