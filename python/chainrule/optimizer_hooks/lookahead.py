"""Slow weights that follow fast ones."""

from __future__ import annotations

from chainrule._numbers import Number, whole_number
from chainrule.optimizer_hooks._weights import Pairs, WeightHook

__all__ = ["Lookahead"]


class Lookahead(WeightHook):
    """Lets slow weights follow, and begins anew from them every ``k`` updates.

    At each ``k``-th update of a parameter's rule, ``slow += alpha * (p - slow)`` and ``p = slow``;
    the slow weights begin as the weights before the first update. They are float32, and float64 for
    a float64 parameter, and are saved with the rules' states. A float32 master copy of a
    half-precision parameter moves with it.

    It may stand on an optimizer, on one rule, or on a selection of rules; two on one parameter by
    names of their own.

    Args:
        alpha: Part of the way that the slow weights go.
        k: Updates from one such step to the next.

    Attributes:
        alpha (float): As above; may be changed at any time.
        k (int): As above.
        timing (str): ``'post'``: runs after the update.

    Raises:
        ValueError: If ``alpha`` is not between 0 and 1, or ``k`` is no whole number from 1 on.

    Source:
        Zhang et al., `Lookahead Optimizer: k steps forward, 1 step back
        <https://arxiv.org/abs/1907.08610>`_, 2019.

    Example:
        >>> import numpy, chainrule
        >>> from chainrule.optimizers import SGD
        >>> from chainrule.optimizer_hooks import Lookahead
        >>> link = chainrule.Link(w=1)
        >>> link.w.array[:] = 0
        >>> optimizer = SGD(lr=1.0).setup(link)
        >>> optimizer.add_hook(Lookahead(alpha=0.5, k=2))
        >>> for _ in range(2):
        ...     link.w.grad = numpy.full(1, -3, numpy.float32)
        ...     optimizer.update()
        >>> link.w.array
        array([3.], dtype=float32)
    """

    name = "Lookahead"
    _state_name = "slow"

    alpha = Number(
        "Part of the way that the slow weights go.",
        "a number from 0 to 1",
        lambda alpha: 0 <= alpha <= 1,
    )

    def __init__(self, alpha: float = 0.5, k: int = 5) -> None:
        self.alpha = alpha
        self.k = k

    @property
    def k(self) -> int:
        """Updates from one step of the slow weights to the next."""
        return self._k

    @k.setter
    def k(self, k: int) -> None:
        self._k = whole_number(f"[{type(self).__name__}] k", k, 1)

    def _before(self, pairs: Pairs, name: str) -> None:
        self._hooked(pairs, name).check()

    def _after(self, pairs: Pairs, name: str) -> None:
        self._hooked(pairs, name).look_ahead(self.alpha, self._k)
