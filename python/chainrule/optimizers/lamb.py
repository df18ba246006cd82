"""LAMB: Adam for large batches, with steps in proportion to each parameter."""

from __future__ import annotations

from chainrule._core import Hyperparameter
from chainrule.optimizer import GradientMethod, HyperparameterProxy
from chainrule.schedules import Scalar
from chainrule.update_rule import UpdateRule

__all__ = ["LAMB", "LAMBRule"]


class LAMBRule(UpdateRule, algorithm="LAMB"):
    """Update rule of :class:`LAMB`.

    Args:
        parent_hyperparam: Where values that are not given come from; the defaults without it.
        alpha: Learning rate.
        beta1: Decay of the running mean of gradients.
        beta2: Decay of the running mean of squared gradients.
        eps: Keeps the denominator from zero.
        weight_decay: Rate of the decay of weights, added to Adam's direction.
    """

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


class LAMB(GradientMethod, rule=LAMBRule):
    """LAMB: Adam for large batches, with steps in proportion to each parameter.

    ``m`` and ``v`` are running means of ``g`` and ``g ** 2``; norms are those of the whole array::

        u = m / (1 - beta1 ** t) / (sqrt(v / (1 - beta2 ** t)) + eps) + weight_decay * p
        p -= alpha * norm(p) / norm(u) * u

    Where one of the norms is zero, the ratio is 1.

    Args:
        alpha: Learning rate.
        beta1: Decay of the running mean of gradients.
        beta2: Decay of the running mean of squared gradients.
        eps: Keeps the denominator from zero.
        weight_decay: Rate of the decay of weights, added to Adam's direction.

    Source:
        You et al., `Large Batch Optimization for Deep Learning: Training BERT in 76 minutes
        <https://arxiv.org/abs/1904.00962>`_, with phi the identity, as in optax.

    Example:
        >>> import chainrule, numpy
        >>> from chainrule.optimizers import LAMB
        >>> link = chainrule.Link(w=1)
        >>> link.w.array[:] = 1
        >>> optimizer = LAMB(alpha=0.1).setup(link)
        >>> link.w.grad = numpy.ones(1, numpy.float32)
        >>> optimizer.update()
        >>> link.w.array.round(3)
        array([0.9], dtype=float32)
    """

    def __init__(
        self,
        alpha: Scalar = 0.001,
        beta1: Scalar = 0.9,
        beta2: Scalar = 0.999,
        eps: Scalar = 1e-6,
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
