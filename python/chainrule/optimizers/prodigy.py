"""Prodigy: Adam that finds its rate by itself."""

from __future__ import annotations

from chainrule._core import Hyperparameter
from chainrule.optimizer import GradientMethod, HyperparameterProxy
from chainrule.schedules import Scalar
from chainrule.update_rule import UpdateRule

__all__ = ["Prodigy", "ProdigyRule"]


class ProdigyRule(UpdateRule, algorithm="Prodigy"):
    """Update rule of :class:`Prodigy`.

    Args:
        parent_hyperparam: Where values that are not given come from; the defaults without it.
        alpha: Multiplier of the rate; usually a schedule from 1 to 0.
        beta1: Decay of the running mean of gradients.
        beta2: Decay of the running mean of squared gradients.
        beta3: Decay of ``s`` and of the numerator; 0 stands for the root of ``beta2``.
        eps: Keeps the denominator from zero.
        weight_decay: Rate of the decay of the parameter itself; multiplied by ``alpha * d``.
        d0: First ``d``.
        d_coef: Multiplier of the estimate.
        growth_rate: Greatest factor by which ``d`` grows in an update; 0 for no limit.
        use_bias_correction: Whether ``r`` has Adam's correction for the first steps, too.
        safeguard_warmup: Whether ``s`` leaves ``alpha`` out, for schedules that begin small.
    """

    def __init__(
        self,
        parent_hyperparam: Hyperparameter | None = None,
        alpha: Scalar | None = None,
        beta1: Scalar | None = None,
        beta2: Scalar | None = None,
        beta3: Scalar | None = None,
        eps: Scalar | None = None,
        weight_decay: Scalar | None = None,
        d0: Scalar | None = None,
        d_coef: Scalar | None = None,
        growth_rate: Scalar | None = None,
        use_bias_correction: bool | None = None,
        safeguard_warmup: bool | None = None,
    ) -> None:
        super().__init__(parent_hyperparam)
        self._override(
            alpha=alpha,
            beta1=beta1,
            beta2=beta2,
            beta3=beta3,
            eps=eps,
            weight_decay=weight_decay,
            d0=d0,
            d_coef=d_coef,
            growth_rate=growth_rate,
            use_bias_correction=use_bias_correction,
            safeguard_warmup=safeguard_warmup,
        )

    @property
    def d(self) -> float:
        """The estimate of the distance to the solution; 0 before the first update."""
        return self._scalars["d"]


class Prodigy(GradientMethod, rule=ProdigyRule):
    """Prodigy: Adam that finds its rate by itself.

    The rate is ``alpha * d``, where ``d`` estimates the distance from the start ``p0`` to the
    solution. With ``r = alpha * d``, in each update::

        m = beta1 * m + (1 - beta1) * d * g
        v = beta2 * v + (1 - beta2) * (d * g) ** 2
        s = beta3 * s + d / d0 * r * g
        numerator = beta3 * numerator + d / d0 * r * sum(g * (p0 - p))
        d = max(d, d_coef * numerator / sum(abs(s)))
        p -= r * (m / (sqrt(v) + d * eps) + weight_decay * p)

    The sums go over all parameters of the optimizer that have this algorithm, and they share
    ``d``; one that is updated by itself, or through hooks written in Python, goes by its own. A
    half-precision parameter needs :meth:`use_fp32_update`: ``d0`` is too small for its states.

    Args:
        alpha: Multiplier of the rate; usually a schedule from 1 to 0.
        beta1: Decay of the running mean of gradients.
        beta2: Decay of the running mean of squared gradients.
        beta3: Decay of ``s`` and of the numerator; 0 stands for the root of ``beta2``.
        eps: Keeps the denominator from zero.
        weight_decay: Rate of the decay of the parameter itself; multiplied by ``alpha * d``.
        d0: First ``d``.
        d_coef: Multiplier of the estimate.
        growth_rate: Greatest factor by which ``d`` grows in an update; 0 for no limit.
        use_bias_correction: Whether ``r`` has Adam's correction for the first steps, too.
        safeguard_warmup: Whether ``s`` leaves ``alpha`` out, for schedules that begin small.

    Source:
        Mishchenko, Defazio, `Prodigy: An Expeditiously Adaptive Parameter-Free Learner
        <https://arxiv.org/abs/2306.06101>`_. As in the authors' package, the step is made with the
        ``d`` from before the update, and the limit ``growth_rate`` is 0, not infinite, where there
        is none.

    Example:
        >>> import chainrule, numpy
        >>> from chainrule.optimizers import Prodigy
        >>> link = chainrule.Link(w=1)
        >>> link.w.array[:] = 1
        >>> optimizer = Prodigy(d0=0.01).setup(link)
        >>> link.w.grad = numpy.ones(1, numpy.float32)
        >>> for _ in range(10):
        ...     link.w.grad = link.w.array - 3
        ...     optimizer.update()
        >>> link.w.update_rule.d > 0.1
        True
    """

    def __init__(
        self,
        alpha: Scalar = 1.0,
        beta1: Scalar = 0.9,
        beta2: Scalar = 0.999,
        beta3: Scalar = 0.0,
        eps: Scalar = 1e-8,
        weight_decay: Scalar = 0.0,
        d0: Scalar = 1e-6,
        d_coef: Scalar = 1.0,
        growth_rate: Scalar = 0.0,
        use_bias_correction: bool = False,
        safeguard_warmup: bool = False,
    ) -> None:
        super().__init__()
        self.hyperparam.alpha = alpha
        self.hyperparam.beta1 = beta1
        self.hyperparam.beta2 = beta2
        self.hyperparam.beta3 = beta3
        self.hyperparam.eps = eps
        self.hyperparam.weight_decay = weight_decay
        self.hyperparam.d0 = d0
        self.hyperparam.d_coef = d_coef
        self.hyperparam.growth_rate = growth_rate
        self.hyperparam.use_bias_correction = use_bias_correction
        self.hyperparam.safeguard_warmup = safeguard_warmup

    alpha = HyperparameterProxy("alpha")
    beta1 = HyperparameterProxy("beta1")
    beta2 = HyperparameterProxy("beta2")
    beta3 = HyperparameterProxy("beta3")
    eps = HyperparameterProxy("eps")
    weight_decay = HyperparameterProxy("weight_decay")
    d0 = HyperparameterProxy("d0")
    d_coef = HyperparameterProxy("d_coef")
    growth_rate = HyperparameterProxy("growth_rate")
    use_bias_correction = HyperparameterProxy("use_bias_correction")
    safeguard_warmup = HyperparameterProxy("safeguard_warmup")
