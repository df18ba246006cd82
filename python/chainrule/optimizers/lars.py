"""LARS: momentum for large batches, with steps in proportion to each parameter."""

from __future__ import annotations

from chainrule._core import Hyperparameter
from chainrule.optimizer import GradientMethod, HyperparameterProxy
from chainrule.schedules import Scalar
from chainrule.update_rule import UpdateRule

__all__ = ["LARS", "LARSRule"]


class LARSRule(UpdateRule, algorithm="LARS"):
    """Update rule of :class:`LARS`.

    Args:
        parent_hyperparam: Where values that are not given come from; the defaults without it.
        lr: Learning rate.
        momentum: Decay of the velocity.
        weight_decay: Rate of the decay of weights, added to the gradient.
        trust_coefficient: How far a step goes, in proportion to the parameter's norm.
        eps: Keeps the denominator from zero.
    """

    def __init__(
        self,
        parent_hyperparam: Hyperparameter | None = None,
        lr: Scalar | None = None,
        momentum: Scalar | None = None,
        weight_decay: Scalar | None = None,
        trust_coefficient: Scalar | None = None,
        eps: Scalar | None = None,
    ) -> None:
        super().__init__(parent_hyperparam)
        self._override(
            lr=lr,
            momentum=momentum,
            weight_decay=weight_decay,
            trust_coefficient=trust_coefficient,
            eps=eps,
        )


class LARS(GradientMethod, rule=LARSRule):
    """LARS: momentum for large batches, with steps in proportion to each parameter.

    Norms are those of the whole array::

        rate = lr * trust_coefficient * norm(p) / (norm(g) + weight_decay * norm(p) + eps)
        v = momentum * v - rate * (g + weight_decay * p)
        p += v

    A parameter of zeros takes the rate ``lr`` itself. Biases and scales are usually left to
    another rule. :class:`~chainrule.optimizer_hooks.GradientLARS` scales alike as a hook, and
    leaves the coefficient to the rate.

    Args:
        lr: Learning rate.
        momentum: Decay of the velocity.
        weight_decay: Rate of the decay of weights, added to the gradient.
        trust_coefficient: How far a step goes, in proportion to the parameter's norm.
        eps: Keeps the denominator from zero.

    Source:
        You, Gitman, Ginsburg, `Large Batch Training of Convolutional Networks
        <https://arxiv.org/abs/1708.03888>`_. optax divides by the norm of the sum of gradient and
        decay instead of the sum of both norms.

    Example:
        >>> import chainrule, numpy
        >>> from chainrule.optimizers import LARS
        >>> link = chainrule.Link(w=1)
        >>> link.w.array[:] = 1
        >>> optimizer = LARS(lr=1.0, trust_coefficient=0.1).setup(link)
        >>> link.w.grad = numpy.ones(1, numpy.float32)
        >>> optimizer.update()
        >>> link.w.array.round(3)
        array([0.9], dtype=float32)
    """

    def __init__(
        self,
        lr: Scalar = 0.1,
        momentum: Scalar = 0.9,
        weight_decay: Scalar = 0.0,
        trust_coefficient: Scalar = 0.001,
        eps: Scalar = 1e-9,
    ) -> None:
        super().__init__()
        self.hyperparam.lr = lr
        self.hyperparam.momentum = momentum
        self.hyperparam.weight_decay = weight_decay
        self.hyperparam.trust_coefficient = trust_coefficient
        self.hyperparam.eps = eps

    lr = HyperparameterProxy("lr")
    momentum = HyperparameterProxy("momentum")
    weight_decay = HyperparameterProxy("weight_decay")
    trust_coefficient = HyperparameterProxy("trust_coefficient")
    eps = HyperparameterProxy("eps")
