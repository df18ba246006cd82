"""StableAdamW: AdamW that slows down where its second moment lags behind."""

from __future__ import annotations

from chainrule._core import Hyperparameter
from chainrule.optimizer import GradientMethod, HyperparameterProxy
from chainrule.schedules import Scalar
from chainrule.update_rule import UpdateRule

__all__ = ["StableAdamW", "StableAdamWRule"]


class StableAdamWRule(UpdateRule, algorithm="StableAdamW"):
    """Update rule of :class:`StableAdamW`.

    Args:
        parent_hyperparam: Where values that are not given come from; the defaults without it.
        alpha: Learning rate.
        beta1: Decay of the running mean of gradients.
        beta2: Decay of the running mean of squared gradients.
        eps: Keeps the denominator from zero.
        weight_decay: Rate of the decay of the parameter itself; multiplied by ``rate``.
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


class StableAdamW(GradientMethod, rule=StableAdamWRule):
    """StableAdamW: AdamW that slows down where its second moment lags behind.

    The moments are corrected for their start by decays that grow:
    ``b(beta) = beta * (1 - beta ** (t - 1)) / (1 - beta ** t)``. Mean and root go over the whole
    array::

        m = b(beta1) * m + (1 - b(beta1)) * g
        v = b(beta2) * v + (1 - b(beta2)) * g ** 2
        rate = alpha / max(1, sqrt(mean(g ** 2 / max(v, eps ** 2))))
        p -= rate * (m / (sqrt(v) + eps) + weight_decay * p)

    Args:
        alpha: Learning rate.
        beta1: Decay of the running mean of gradients.
        beta2: Decay of the running mean of squared gradients.
        eps: Keeps the denominator from zero.
        weight_decay: Rate of the decay of the parameter itself; multiplied by ``rate``.

    Source:
        Wortsman et al., `Stable and low-precision training for large-scale vision-language models
        <https://arxiv.org/abs/2304.13013>`_.

    Example:
        >>> import chainrule, numpy
        >>> from chainrule.optimizers import StableAdamW
        >>> link = chainrule.Link(w=1)
        >>> link.w.array[:] = 1
        >>> optimizer = StableAdamW(alpha=0.1).setup(link)
        >>> link.w.grad = numpy.ones(1, numpy.float32)
        >>> optimizer.update()
        >>> link.w.array.round(3)
        array([0.899], dtype=float32)
    """

    def __init__(
        self,
        alpha: Scalar = 0.001,
        beta1: Scalar = 0.9,
        beta2: Scalar = 0.99,
        eps: Scalar = 1e-6,
        weight_decay: Scalar = 0.01,
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
