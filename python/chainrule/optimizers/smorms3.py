"""SMORMS3: RMSprop whose memory shortens where the gradient is steady."""

from __future__ import annotations

from chainrule._core import Hyperparameter
from chainrule.optimizer import GradientMethod, HyperparameterProxy
from chainrule.schedules import Scalar
from chainrule.update_rule import UpdateRule

__all__ = ["SMORMS3", "SMORMS3Rule"]


class SMORMS3Rule(UpdateRule, algorithm="SMORMS3"):
    """Update rule of :class:`SMORMS3`.

    Args:
        parent_hyperparam: Where values that are not given come from; the defaults without it.
        lr: Learning rate.
        eps: Keeps the denominator from zero.
    """

    is_elementwise = True

    def __init__(
        self,
        parent_hyperparam: Hyperparameter | None = None,
        lr: Scalar | None = None,
        eps: Scalar | None = None,
    ) -> None:
        super().__init__(parent_hyperparam)
        self._override(lr=lr, eps=eps)


class SMORMS3(GradientMethod, rule=SMORMS3Rule):
    """SMORMS3: RMSprop whose memory shortens where the gradient is steady.

    ``r = 1 / (mem + 1)``; ``g_`` and ``g2`` are means of ``g`` and ``g ** 2`` with share ``r``;
    ``x = g_ ** 2 / (g2 + eps)``, then ``p -= g * min(x, lr) / (sqrt(g2) + eps)`` and
    ``mem = 1 + mem * (1 - x)``.

    Args:
        lr: Learning rate.
        eps: Keeps the denominator from zero.

    Source:
        Funk, `RMSprop loses to SMORMS3 - Beware the Epsilon!
        <https://sifter.org/~simon/journal/20150420.html>`_.

    Example:
        >>> import chainrule, numpy
        >>> from chainrule.optimizers import SMORMS3
        >>> link = chainrule.Link(w=1)
        >>> link.w.array[:] = 1
        >>> optimizer = SMORMS3(lr=0.1).setup(link)
        >>> link.w.grad = numpy.ones(1, numpy.float32)
        >>> optimizer.update()
        >>> link.w.array.round(3)
        array([0.859], dtype=float32)
    """

    def __init__(
        self,
        lr: Scalar = 0.001,
        eps: Scalar = 1e-16,
    ) -> None:
        super().__init__()
        self.hyperparam.lr = lr
        self.hyperparam.eps = eps

    lr = HyperparameterProxy("lr")
    eps = HyperparameterProxy("eps")
