"""Memory of GPUs that PyTorch keeps for reuse."""

from __future__ import annotations

import torch

__all__ = ["give_back"]


def give_back(gpu: int) -> None:
    """Have PyTorch return what it keeps on GPUs and does not use.

    Called where chainrule finds no memory for a state: after a backward pass PyTorch keeps what the
    activations took, which is no use to anybody else.

    Args:
        gpu: The GPU that is full; PyTorch returns the memory of all.
    """
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
