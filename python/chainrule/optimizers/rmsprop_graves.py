"""Graves's RMSprop: with momentum, the variance instead of the square."""

from __future__ import annotations

from chainrule._core import Hyperparameter
from chainrule.optimizer import GradientMethod, HyperparameterProxy
from chainrule.schedules import Scalar
from chainrule.update_rule import UpdateRule

__all__ = ["RMSpropGraves", "RMSpropGravesRule"]


class RMSpropGravesRule(UpdateRule, algorithm="RMSpropGraves"):
    """Update rule of :class:`RMSpropGraves`.

    Args:
        parent_hyperparam: Where values that are not given come from; the defaults without it.
        lr: Learning rate.
        alpha: Decay of the running means.
        momentum: Share of the velocity that is kept at each step.
        eps: Keeps the denominator from zero.
    """

    is_elementwise = True

    def __init__(
        self,
        parent_hyperparam: Hyperparameter | None = None,
        lr: Scalar | None = None,
        alpha: Scalar | None = None,
        momentum: Scalar | None = None,
        eps: Scalar | None = None,
    ) -> None:
        super().__init__(parent_hyperparam)
        self._override(lr=lr, alpha=alpha, momentum=momentum, eps=eps)


class RMSpropGraves(GradientMethod, rule=RMSpropGravesRule):
    """Graves's RMSprop: with momentum, the variance instead of the square.

    ``n`` and ``g_`` are running means of ``g ** 2`` and ``g``;
    ``delta = momentum * delta - lr * g / sqrt(n - g_ ** 2 + eps)``, then ``p += delta``.

    Args:
        lr: Learning rate.
        alpha: Decay of the running means.
        momentum: Share of the velocity that is kept at each step.
        eps: Keeps the denominator from zero.

    Source:
        Graves, `Generating Sequences With Recurrent Neural Networks
        <https://arxiv.org/abs/1308.0850>`_.

    Example:
        >>> import chainrule, numpy
        >>> from chainrule.optimizers import RMSpropGraves
        >>> link = chainrule.Link(w=1)
        >>> link.w.array[:] = 1
        >>> optimizer = RMSpropGraves(lr=0.1, alpha=0.0, eps=1.0).setup(link)
        >>> link.w.grad = numpy.ones(1, numpy.float32)
        >>> optimizer.update()
        >>> link.w.array.round(3)
        array([0.9], dtype=float32)
    """

    def __init__(
        self,
        lr: Scalar = 1e-4,
        alpha: Scalar = 0.95,
        momentum: Scalar = 0.9,
        eps: Scalar = 1e-4,
    ) -> None:
        super().__init__()
        self.hyperparam.lr = lr
        self.hyperparam.alpha = alpha
        self.hyperparam.momentum = momentum
        self.hyperparam.eps = eps

    lr = HyperparameterProxy("lr")
    alpha = HyperparameterProxy("alpha")
    momentum = HyperparameterProxy("momentum")
    eps = HyperparameterProxy("eps")
