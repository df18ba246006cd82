"""RMSprop."""

from __future__ import annotations

from chainrule._core import Hyperparameter
from chainrule.optimizer import GradientMethod, HyperparameterProxy
from chainrule.schedules import Scalar
from chainrule.update_rule import UpdateRule

__all__ = ["RMSprop", "RMSpropRule"]


class RMSpropRule(UpdateRule, algorithm="RMSprop"):
    """Update rule of :class:`RMSprop`.

    Args:
        parent_hyperparam: Where values that are not given come from; the defaults without it.
        lr: Learning rate.
        alpha: Decay of the running mean.
        eps: Keeps the denominator from zero.
        eps_inside_sqrt: Divide by ``sqrt(ms + eps)`` instead.
    """

    is_elementwise = True

    def __init__(
        self,
        parent_hyperparam: Hyperparameter | None = None,
        lr: Scalar | None = None,
        alpha: Scalar | None = None,
        eps: Scalar | None = None,
        eps_inside_sqrt: bool | None = None,
    ) -> None:
        super().__init__(parent_hyperparam)
        self._override(lr=lr, alpha=alpha, eps=eps, eps_inside_sqrt=eps_inside_sqrt)


class RMSprop(GradientMethod, rule=RMSpropRule):
    """RMSprop.

    ``ms = alpha * ms + (1 - alpha) * g ** 2``, then ``p -= lr * g / (sqrt(ms) + eps)``.

    Args:
        lr: Learning rate.
        alpha: Decay of the running mean.
        eps: Keeps the denominator from zero.
        eps_inside_sqrt: Divide by ``sqrt(ms + eps)`` instead.

    Source:
        Tieleman, Hinton, *Lecture 6.5 - rmsprop*, COURSERA, 2012.

    Example:
        >>> import chainrule, numpy
        >>> from chainrule.optimizers import RMSprop
        >>> link = chainrule.Link(w=1)
        >>> link.w.array[:] = 1
        >>> optimizer = RMSprop(lr=0.1, alpha=0.0).setup(link)
        >>> link.w.grad = numpy.ones(1, numpy.float32)
        >>> optimizer.update()
        >>> link.w.array.round(3)
        array([0.9], dtype=float32)
    """

    def __init__(
        self,
        lr: Scalar = 0.01,
        alpha: Scalar = 0.99,
        eps: Scalar = 1e-8,
        eps_inside_sqrt: bool = False,
    ) -> None:
        super().__init__()
        self.hyperparam.lr = lr
        self.hyperparam.alpha = alpha
        self.hyperparam.eps = eps
        self.hyperparam.eps_inside_sqrt = eps_inside_sqrt

    lr = HyperparameterProxy("lr")
    alpha = HyperparameterProxy("alpha")
    eps = HyperparameterProxy("eps")
    eps_inside_sqrt = HyperparameterProxy("eps_inside_sqrt")
