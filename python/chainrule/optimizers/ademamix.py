"""AdEMAMix: Adam with a second, much older momentum."""

from __future__ import annotations

from chainrule._core import Hyperparameter
from chainrule.optimizer import GradientMethod, HyperparameterProxy
from chainrule.schedules import Scalar
from chainrule.update_rule import UpdateRule

__all__ = ["AdEMAMix", "AdEMAMixRule"]


class AdEMAMixRule(UpdateRule, algorithm="AdEMAMix"):
    """Update rule of :class:`AdEMAMix`.

    Args:
        parent_hyperparam: Where values that are not given come from; the defaults without it.
        alpha: Learning rate.
        beta1: Decay of the fast mean of gradients.
        beta2: Decay of the running mean of squared gradients.
        beta3: Decay of the slow mean of gradients, after the warm-up.
        mixing: Weight of the slow mean, after the warm-up; the paper's alpha.
        warmup: Updates until ``beta3`` and ``mixing`` have their values, usually those of the whole
            training; 0 for no warm-up.
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
        beta3: Scalar | None = None,
        mixing: Scalar | None = None,
        warmup: int | None = None,
        eps: Scalar | None = None,
        weight_decay: Scalar | None = None,
    ) -> None:
        super().__init__(parent_hyperparam)
        self._override(
            alpha=alpha,
            beta1=beta1,
            beta2=beta2,
            beta3=beta3,
            mixing=mixing,
            warmup=warmup,
            eps=eps,
            weight_decay=weight_decay,
        )


class AdEMAMix(GradientMethod, rule=AdEMAMixRule):
    """AdEMAMix: Adam with a second, much older momentum.

    ``m1``, ``m2`` and ``v`` are running means of ``g``, ``g`` and ``g ** 2`` with the decays
    ``beta1``, ``beta3(t)`` and ``beta2``; the slow one is not corrected for its start::

        u = (m1 / (1 - beta1 ** t) + mixing(t) * m2) / (sqrt(v / (1 - beta2 ** t)) + eps)
        p -= alpha * (u + weight_decay * p)

    During the first ``warmup`` updates ``mixing(t)`` grows linearly from zero, and ``beta3(t)``
    from ``beta1`` so that the half-life of ``m2`` grows about linearly.

    Args:
        alpha: Learning rate.
        beta1: Decay of the fast mean of gradients.
        beta2: Decay of the running mean of squared gradients.
        beta3: Decay of the slow mean of gradients, after the warm-up.
        mixing: Weight of the slow mean, after the warm-up; the paper's alpha.
        warmup: Updates until ``beta3`` and ``mixing`` have their values, usually those of the whole
            training; 0 for no warm-up.
        eps: Keeps the denominator from zero.
        weight_decay: Rate of the decay of the parameter itself; multiplied by ``alpha``, unlike
            ``weight_decay_rate`` of :class:`~chainrule.optimizers.Adam`.

    Source:
        Pagliardini, Ablin, Grangier, `The AdEMAMix Optimizer: Better, Faster, Older
        <https://arxiv.org/abs/2409.03137>`_. ``alpha`` is the rate, as in all of this library's
        relatives of Adam.

    Example:
        >>> import chainrule, numpy
        >>> from chainrule.optimizers import AdEMAMix
        >>> link = chainrule.Link(w=1)
        >>> link.w.array[:] = 1
        >>> optimizer = AdEMAMix(alpha=0.1, warmup=10).setup(link)
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
        beta3: Scalar = 0.9999,
        mixing: Scalar = 5.0,
        warmup: int = 0,
        eps: Scalar = 1e-8,
        weight_decay: Scalar = 0.0,
    ) -> None:
        super().__init__()
        self.hyperparam.alpha = alpha
        self.hyperparam.beta1 = beta1
        self.hyperparam.beta2 = beta2
        self.hyperparam.beta3 = beta3
        self.hyperparam.mixing = mixing
        self.hyperparam.warmup = warmup
        self.hyperparam.eps = eps
        self.hyperparam.weight_decay = weight_decay

    alpha = HyperparameterProxy("alpha")
    beta1 = HyperparameterProxy("beta1")
    beta2 = HyperparameterProxy("beta2")
    beta3 = HyperparameterProxy("beta3")
    mixing = HyperparameterProxy("mixing")
    warmup = HyperparameterProxy("warmup")
    eps = HyperparameterProxy("eps")
    weight_decay = HyperparameterProxy("weight_decay")
