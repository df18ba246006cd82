"""Gradient descent with momentum."""

from __future__ import annotations

from chainrule._core import Hyperparameter
from chainrule.optimizer import GradientMethod, HyperparameterProxy
from chainrule.schedules import Scalar
from chainrule.update_rule import UpdateRule

__all__ = ["MomentumSGD", "MomentumSGDRule"]


class MomentumSGDRule(UpdateRule, algorithm="MomentumSGD"):
    """Update rule of :class:`MomentumSGD`.

    Args:
        parent_hyperparam: Where values that are not given come from; the defaults without it.
        lr: Learning rate.
        momentum: Share of the velocity that is kept at each step.
    """

    is_elementwise = True

    def __init__(
        self,
        parent_hyperparam: Hyperparameter | None = None,
        lr: Scalar | None = None,
        momentum: Scalar | None = None,
    ) -> None:
        super().__init__(parent_hyperparam)
        self._override(lr=lr, momentum=momentum)


class MomentumSGD(GradientMethod, rule=MomentumSGDRule):
    """Gradient descent with momentum.

    ``v = momentum * v - lr * g``, then ``p += v``.

    Args:
        lr: Learning rate.
        momentum: Share of the velocity that is kept at each step.

    Source:
        Polyak, *Some methods of speeding up the convergence of iteration methods*, 1964.

    Example:
        >>> import chainrule, numpy
        >>> from chainrule.optimizers import MomentumSGD
        >>> link = chainrule.Link(w=1)
        >>> link.w.array[:] = 1
        >>> optimizer = MomentumSGD(lr=0.1).setup(link)
        >>> link.w.grad = numpy.ones(1, numpy.float32)
        >>> optimizer.update()
        >>> link.w.array.round(3)
        array([0.9], dtype=float32)
    """

    def __init__(
        self,
        lr: Scalar = 0.01,
        momentum: Scalar = 0.9,
    ) -> None:
        super().__init__()
        self.hyperparam.lr = lr
        self.hyperparam.momentum = momentum

    lr = HyperparameterProxy("lr")
    momentum = HyperparameterProxy("momentum")
