"""NAdam: Adam with Nesterov's momentum."""

from __future__ import annotations

from chainrule._core import Hyperparameter
from chainrule.optimizer import GradientMethod, HyperparameterProxy
from chainrule.schedules import Scalar
from chainrule.update_rule import UpdateRule

__all__ = ["NAdam", "NAdamRule"]


class NAdamRule(UpdateRule, algorithm="NAdam"):
    """Update rule of :class:`NAdam`.

    Args:
        parent_hyperparam: Where values that are not given come from; the defaults without it.
        alpha: Learning rate.
        beta1: Decay of the running mean of gradients.
        beta2: Decay of the running mean of squared gradients.
        eps: Keeps the denominator from zero.
        momentum_decay: How fast the momentum reaches ``beta1``.
        weight_decay: Rate of the decay of the parameter itself; multiplied by ``alpha``, unlike
            ``weight_decay_rate`` of :class:`~chainrule.optimizers.Adam`.
    """

    is_elementwise = True

    def __init__(
        self,
        parent_hyperparam: Hyperparameter | None = None,
        alpha: Scalar | None = None,
        beta1: Scalar | None = None,
        beta2: Scalar | None = None,
        eps: Scalar | None = None,
        momentum_decay: Scalar | None = None,
        weight_decay: Scalar | None = None,
    ) -> None:
        super().__init__(parent_hyperparam)
        self._override(
            alpha=alpha,
            beta1=beta1,
            beta2=beta2,
            eps=eps,
            momentum_decay=momentum_decay,
            weight_decay=weight_decay,
        )


class NAdam(GradientMethod, rule=NAdamRule):
    """NAdam: Adam with Nesterov's momentum.

    ``m`` and ``v`` are running means of ``g`` and ``g ** 2``, and
    ``mu(t) = beta1 * (1 - 0.96 ** (t * momentum_decay) / 2)`` warms the momentum up; with the
    product ``P`` of ``mu(1) ... mu(t)``::

        u = (1 - mu(t)) / (1 - P) * g + mu(t + 1) / (1 - P * mu(t + 1)) * m
        p -= alpha * (u / (sqrt(v / (1 - beta2 ** t)) + eps) + weight_decay * p)

    Args:
        alpha: Learning rate.
        beta1: Decay of the running mean of gradients.
        beta2: Decay of the running mean of squared gradients.
        eps: Keeps the denominator from zero.
        momentum_decay: How fast the momentum reaches ``beta1``.
        weight_decay: Rate of the decay of the parameter itself; multiplied by ``alpha``, unlike
            ``weight_decay_rate`` of :class:`~chainrule.optimizers.Adam`.

    Source:
        Dozat, `Incorporating Nesterov Momentum into Adam
        <https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ>`_. As in PyTorch, both terms are
        divided by the same root; there is no ``eps`` in the paper's root.

    Example:
        >>> import chainrule, numpy
        >>> from chainrule.optimizers import NAdam
        >>> link = chainrule.Link(w=1)
        >>> link.w.array[:] = 1
        >>> optimizer = NAdam(alpha=0.1).setup(link)
        >>> link.w.grad = numpy.ones(1, numpy.float32)
        >>> optimizer.update()
        >>> link.w.array.round(3)
        array([0.894], dtype=float32)
    """

    def __init__(
        self,
        alpha: Scalar = 0.002,
        beta1: Scalar = 0.9,
        beta2: Scalar = 0.999,
        eps: Scalar = 1e-8,
        momentum_decay: Scalar = 0.004,
        weight_decay: Scalar = 0.0,
    ) -> None:
        super().__init__()
        self.hyperparam.alpha = alpha
        self.hyperparam.beta1 = beta1
        self.hyperparam.beta2 = beta2
        self.hyperparam.eps = eps
        self.hyperparam.momentum_decay = momentum_decay
        self.hyperparam.weight_decay = weight_decay

    alpha = HyperparameterProxy("alpha")
    beta1 = HyperparameterProxy("beta1")
    beta2 = HyperparameterProxy("beta2")
    eps = HyperparameterProxy("eps")
    momentum_decay = HyperparameterProxy("momentum_decay")
    weight_decay = HyperparameterProxy("weight_decay")
