"""Nesterov's momentum as PyTorch defines it."""

from __future__ import annotations

from typing import Any

from chainrule.traced import elementwise_rule

__all__ = ["NesterovSGD"]


@elementwise_rule
def NesterovSGD(
    p: Any, g: Any, v: Any, *, lr: float = 0.01, momentum: float = 0.9
) -> tuple[Any, Any]:
    """``v = momentum * v + g``, then ``p -= lr * (g + momentum * v)``.

    What ``torch.optim.SGD(nesterov=True)`` does. Chainer's NesterovAG differs in the power of
    ``momentum``.
    """
    v = momentum * v + g
    return p - lr * (g + momentum * v), v
