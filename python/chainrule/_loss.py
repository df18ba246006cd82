"""Gradients of a loss, computed in an update."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from chainrule._core import Variable
from chainrule._names import listed
from chainrule._walk import each_param
from chainrule.configuration import config

if TYPE_CHECKING:
    from chainrule.link import Link
    from chainrule.optimizer import GradientMethod

__all__ = ["take_gradients"]


def take_gradients(
    optimizer: GradientMethod,
    lossfun: Callable[..., Any],
    args: tuple[Any, ...],
    kwds: dict[str, Any],
) -> None:
    """Give the parameters of an optimizer the gradients of a loss, and forget those of before.

    Args:
        optimizer: The optimizer.
        lossfun: Gives the loss.
        args: What it is called with.
        kwds: What it is called with.

    Raises:
        RuntimeError: If the optimizer is not set up, or the loss depends on nothing that takes
            gradients though some parameter is on.
        TypeError: If ``lossfun`` gives no loss.
    """
    if optimizer.target is None:
        optimizer._build()  # says so
    link = optimizer.target
    assert link is not None
    with _as_in_chainer(link) if config.chainer_semantics else contextlib.nullcontext():
        loss = optimizer._loss(lossfun, args, kwds)
    if optimizer._use_cleargrads:
        link.cleargrads()
    else:
        link.zerograds()
    if isinstance(loss, Variable) and loss.creator is None and _needs_none(link):
        return
    loss.backward(loss_scale=optimizer._loss_scale)


def _needs_none(link: Link) -> bool:
    """Whether a loss without a graph is as it should be: all parameters are off."""
    rules = [(path, param.update_rule) for path, param in each_param(link)]
    off = [path for path, rule in rules if rule is not None and not rule.enabled]
    if any(rule is not None and rule.enabled for _, rule in rules):
        if not off:
            return False  # backward says what may be wrong
        raise RuntimeError(
            "[update] lossfun gave a loss that depends on nothing that takes gradients, expected "
            f"one of parameters that are on; off: {listed(off)}"
        )
    return bool(off)


@contextlib.contextmanager
def _as_in_chainer(link: Link) -> Iterator[None]:
    """Let parameters that are off take part in graphs."""
    every = [param for _, param in each_param(link)]
    off = [p for p in every if p.frozen and p.update_rule is not None and not p.update_rule.enabled]
    for param in off:
        param.frozen = False
    try:
        yield
    finally:
        for param in off:
            param.frozen = not param.update_enabled
