"""Adamax: Adam with a decaying maximum in place of the second moment."""

from __future__ import annotations

from chainrule._core import Hyperparameter
from chainrule.optimizer import GradientMethod, HyperparameterProxy
from chainrule.schedules import Scalar
from chainrule.update_rule import UpdateRule

__all__ = ["Adamax", "AdamaxRule"]


class AdamaxRule(UpdateRule, algorithm="Adamax"):
    """Update rule of :class:`Adamax`.

    Args:
        parent_hyperparam: Where values that are not given come from; the defaults without it.
        alpha: Learning rate.
        beta1: Decay of the running mean of gradients.
        beta2: Decay of the maximum.
        eps: Keeps the denominator from zero.
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
        weight_decay: Scalar | None = None,
    ) -> None:
        super().__init__(parent_hyperparam)
        self._override(
            alpha=alpha,
            beta1=beta1,
            beta2=beta2,
            eps=eps,
            weight_decay=weight_decay,
        )


class Adamax(GradientMethod, rule=AdamaxRule):
    """Adamax: Adam with a decaying maximum in place of the second moment.

    ``m = beta1 * m + (1 - beta1) * g`` and ``u = max(beta2 * u, abs(g) + eps)``, then
    ``p -= alpha * (m / (1 - beta1 ** t) / u + weight_decay * p)``.

    Args:
        alpha: Learning rate.
        beta1: Decay of the running mean of gradients.
        beta2: Decay of the maximum.
        eps: Keeps the denominator from zero.
        weight_decay: Rate of the decay of the parameter itself; multiplied by ``alpha``, unlike
            ``weight_decay_rate`` of :class:`~chainrule.optimizers.Adam`.

    Source:
        Kingma, Ba, `Adam: A Method for Stochastic Optimization <https://arxiv.org/abs/1412.6980>`_,
        section 7.1. The paper has no ``eps``; it stands where PyTorch has it.

    Example:
        >>> import chainrule, numpy
        >>> from chainrule.optimizers import Adamax
        >>> link = chainrule.Link(w=1)
        >>> link.w.array[:] = 1
        >>> optimizer = Adamax(alpha=0.1).setup(link)
        >>> link.w.grad = numpy.ones(1, numpy.float32)
        >>> optimizer.update()
        >>> link.w.array.round(3)
        array([0.9], dtype=float32)
    """

    def __init__(
        self,
        alpha: Scalar = 0.002,
        beta1: Scalar = 0.9,
        beta2: Scalar = 0.999,
        eps: Scalar = 1e-8,
        weight_decay: Scalar = 0.0,
    ) -> None:
        super().__init__()
        self.hyperparam.alpha = alpha
        self.hyperparam.beta1 = beta1
        self.hyperparam.beta2 = beta2
        self.hyperparam.eps = eps
        self.hyperparam.weight_decay = weight_decay

    alpha = HyperparameterProxy("alpha")
    beta1 = HyperparameterProxy("beta1")
    beta2 = HyperparameterProxy("beta2")
    eps = HyperparameterProxy("eps")
    weight_decay = HyperparameterProxy("weight_decay")
