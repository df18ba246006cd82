"""Gradients that are handed to an update, and not computed in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from chainrule import _core
from chainrule.configuration import config

if TYPE_CHECKING:
    from chainrule.optimizer import GradientMethod

__all__ = ["Gradients", "given"]

#: Arrays by name, in each other as :func:`chainrule.arrays.attach` was given them.
Gradients = Mapping[str, Any] | Sequence[Any]


def given(optimizer: GradientMethod, gradients: Gradients) -> AbstractContextManager[None]:
    """Let the arrays of an optimizer have gradients in a ``with`` block.

    Args:
        optimizer: The optimizer.
        gradients: The gradients.

    Returns:
        A context manager.

    Raises:
        TypeError: If the optimizer was not given arrays.
    """
    take = getattr(optimizer.target, "_given", None)
    if take is None:
        raise TypeError(
            f"[update] got {type(gradients).__name__}, expected a function that gives the loss; "
            "gradients by name are for optimizers of chainrule.arrays.attach"
        )
    if optimizer._version != _core.structure_version():
        optimizer._build()
    # Python code may write into gradients.
    copy = not optimizer._plain or config.chainer_semantics
    block: AbstractContextManager[None] = take(gradients, copy)
    return block
