"""Steps that compute gradients twice."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from chainrule._undo import add_note
from chainrule.torch._parameter import reach_tensors
from chainrule.torch._streams import on_our_streams

if TYPE_CHECKING:
    from chainrule.torch._facade import Optimizer

__all__ = ["sharp_step"]


def sharp_step(optimizer: Optimizer, closure: Callable[[], Any] | None) -> Any:
    """Take a step in which :class:`~chainrule.optimizer_hooks.SAM` has a part.

    Args:
        optimizer: The optimizer.
        closure: Computes the loss and its gradients.

    Returns:
        What the closure returned at first.

    Raises:
        RuntimeError: If there is no closure.

    Whatever is raised, parameters have their values, wherever the closure has moved them.
    """
    if closure is None:
        raise RuntimeError(
            "[SAM] gradients are needed twice: call optimizer.step(closure) with a closure "
            "that clears gradients, computes the loss and calls backward"
        )
    tensors, native = optimizer._tensors, optimizer.native
    streams = contextlib.ExitStack()  # the closure runs on the caller's own
    losses: list[Any] = []
    passes = 0

    def lend() -> None:
        tensors.begin(True)
        streams.enter_context(on_our_streams(optimizer._gpus))

    def give_back() -> None:
        streams.close()
        tensors.end()

    def backward(lossfun: Any, args: Any, kwds: Any) -> None:
        nonlocal passes
        passes += 1
        give_back()
        try:
            with torch.enable_grad():
                losses.append(closure())
        finally:
            tensors.ready()  # what comes next puts parameters back
        lend()

    lend()
    vars(native)["_backward"] = backward
    try:
        try:
            native.update(closure)
        finally:
            del vars(native)["_backward"]
            give_back()
            tensors.done()
    except BaseException as error:
        if passes == 2:
            _reach_tensors(optimizer, error)
        raise
    return losses[0]


def _reach_tensors(optimizer: Optimizer, error: BaseException) -> None:
    """Put parameters back where the second pass has moved them to."""
    try:
        reach_tensors(optimizer._params)
    except ValueError as lost:
        add_note(error, str(lost))
