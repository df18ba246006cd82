"""Stochastic gradient descent."""

from __future__ import annotations

from chainrule._core import Hyperparameter
from chainrule.optimizer import GradientMethod, HyperparameterProxy
from chainrule.schedules import Scalar
from chainrule.update_rule import UpdateRule

__all__ = ["SGD", "SGDRule"]


class SGDRule(UpdateRule, algorithm="SGD"):
    """Update rule of :class:`SGD`.

    Args:
        parent_hyperparam: Where values that are not given come from; the defaults without it.
        lr: Learning rate.
    """

    is_elementwise = True

    def __init__(
        self,
        parent_hyperparam: Hyperparameter | None = None,
        lr: Scalar | None = None,
    ) -> None:
        super().__init__(parent_hyperparam)
        self._override(lr=lr)


class SGD(GradientMethod, rule=SGDRule):
    """Stochastic gradient descent.

    ``p -= lr * g``

    Args:
        lr: Learning rate.

    Source:
        Robbins, Monro, *A Stochastic Approximation Method*, 1951.

    Example:
        >>> import chainrule, numpy
        >>> from chainrule.optimizers import SGD
        >>> link = chainrule.Link(w=1)
        >>> link.w.array[:] = 1
        >>> optimizer = SGD(lr=0.1).setup(link)
        >>> link.w.grad = numpy.ones(1, numpy.float32)
        >>> optimizer.update()
        >>> link.w.array.round(3)
        array([0.9], dtype=float32)
    """

    def __init__(
        self,
        lr: Scalar = 0.01,
    ) -> None:
        super().__init__()
        self.hyperparam.lr = lr

    lr = HyperparameterProxy("lr")
