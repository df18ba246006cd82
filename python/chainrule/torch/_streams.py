"""The streams that PyTorch works on: ours is the default one of each GPU."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch

__all__ = ["current_stream", "on_our_streams", "refuse_capture"]

#: The address of the stream that is current on a GPU, without an object for it.
_raw: Any = getattr(torch._C, "_cuda_getCurrentRawStream", None)


def current_stream(gpu: int) -> int:
    """Tell which stream PyTorch works on.

    Args:
        gpu: The GPU's number.

    Returns:
        The stream's address; 0 is the default one.
    """
    return int(torch.cuda.current_stream(gpu).cuda_stream if _raw is None else _raw(gpu))


@contextlib.contextmanager
def on_our_streams(gpus: Sequence[int]) -> Iterator[None]:
    """Let PyTorch work on the streams that chainrule works on, so that neither has to wait.

    Args:
        gpus: Numbers of GPUs.
    """
    others = [gpu for gpu in gpus if current_stream(gpu) != 0]
    if not others:
        yield
        return
    here = torch.cuda.current_device()
    with contextlib.ExitStack() as stack:
        for gpu in others:
            stack.enter_context(torch.cuda.stream(torch.cuda.default_stream(gpu)))
        stack.enter_context(torch.cuda.device(here))  # a stream brings its own device
        yield


def refuse_capture(what: str) -> None:
    """Refuse work while PyTorch captures a CUDA graph, which could not hold it.

    Args:
        what: What was called.

    Raises:
        RuntimeError: If it captures one.
    """
    if torch.cuda.is_current_stream_capturing():
        raise RuntimeError(
            f"[chainrule.torch] {what}: a CUDA graph is being captured, and updates of chainrule "
            "cannot be part of one: got a capturing stream; capture forward and backward, and call "
            f"{what} after graph.replay()"
        )
