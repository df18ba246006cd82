"""AdaGrad."""

from __future__ import annotations

from chainrule._core import Hyperparameter
from chainrule.optimizer import GradientMethod, HyperparameterProxy
from chainrule.schedules import Scalar
from chainrule.update_rule import UpdateRule

__all__ = ["AdaGrad", "AdaGradRule"]


class AdaGradRule(UpdateRule, algorithm="AdaGrad"):
    """Update rule of :class:`AdaGrad`.

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


class AdaGrad(GradientMethod, rule=AdaGradRule):
    """AdaGrad.

    ``h += g ** 2``, then ``p -= lr * g / (sqrt(h) + eps)``.

    Args:
        lr: Learning rate.
        eps: Keeps the denominator from zero.

    Source:
        Duchi, Hazan, Singer, `Adaptive Subgradient Methods
        <http://jmlr.org/papers/v12/duchi11a.html>`_.

    Example:
        >>> import chainrule, numpy
        >>> from chainrule.optimizers import AdaGrad
        >>> link = chainrule.Link(w=1)
        >>> link.w.array[:] = 1
        >>> optimizer = AdaGrad(lr=0.1).setup(link)
        >>> link.w.grad = numpy.ones(1, numpy.float32)
        >>> optimizer.update()
        >>> link.w.array.round(3)
        array([0.9], dtype=float32)
    """

    def __init__(
        self,
        lr: Scalar = 0.001,
        eps: Scalar = 1e-8,
    ) -> None:
        super().__init__()
        self.hyperparam.lr = lr
        self.hyperparam.eps = eps

    lr = HyperparameterProxy("lr")
    eps = HyperparameterProxy("eps")
