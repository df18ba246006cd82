"""A bound for the norm of all gradients together."""

from __future__ import annotations

from chainrule._numbers import Number
from chainrule.optimizer_hooks._native import NativeHook

__all__ = ["GradientClipping"]


class GradientClipping(NativeHook):
    """Scales all gradients so that their common norm is at most a threshold.

    ``g *= min(1, threshold / norm)``, where ``norm`` is the Euclidean norm of the gradients of
    all parameters that are updated. On the rule of one parameter it bounds that gradient alone.

    Args:
        threshold: Greatest norm.

    Attributes:
        threshold (float): Greatest norm; may be changed at any time.
        timing (str): ``'pre'``: runs before the update.

    Source:
        Pascanu et al., `On the difficulty of training recurrent neural networks
        <https://arxiv.org/abs/1211.5063>`_.
    """

    _kind = "clip_norm"
    name = "GradientClipping"

    threshold = Number("Greatest norm.", "a number from 0 on", lambda norm: norm >= 0, slot="_a")

    def __init__(self, threshold: float) -> None:
        super().__init__(threshold=threshold)
