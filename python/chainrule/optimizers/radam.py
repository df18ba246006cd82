"""RAdam: Adam with a rectified rate, which needs no warm-up."""

from __future__ import annotations

from chainrule._core import Hyperparameter
from chainrule.optimizer import GradientMethod, HyperparameterProxy
from chainrule.schedules import Scalar
from chainrule.update_rule import UpdateRule

__all__ = ["RAdam", "RAdamRule"]


class RAdamRule(UpdateRule, algorithm="RAdam"):
    """Update rule of :class:`RAdam`.

    Args:
        parent_hyperparam: Where values that are not given come from; the defaults without it.
        alpha: Learning rate.
        beta1: Decay of the running mean of gradients.
        beta2: Decay of the running mean of squared gradients.
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


class RAdam(GradientMethod, rule=RAdamRule):
    """RAdam: Adam with a rectified rate, which needs no warm-up.

    ``m`` and ``v`` are running means of ``g`` and ``g ** 2``. With
    ``rho_inf = 2 / (1 - beta2) - 1`` and
    ``rho = rho_inf - 2 * t * beta2 ** t / (1 - beta2 ** t)``::

        m_hat = m / (1 - beta1 ** t)
        where rho <= 5:  p -= alpha * (m_hat + weight_decay * p)
        where rho > 5:   r = sqrt((rho - 4) * (rho - 2) * rho_inf
                                  / ((rho_inf - 4) * (rho_inf - 2) * rho))
                         a = sqrt(1 - beta2 ** t) / (sqrt(v) + eps)
                         p -= alpha * (r * a * m_hat + weight_decay * p)

    Args:
        alpha: Learning rate.
        beta1: Decay of the running mean of gradients.
        beta2: Decay of the running mean of squared gradients.
        eps: Keeps the denominator from zero.
        weight_decay: Rate of the decay of the parameter itself; multiplied by ``alpha``, unlike
            ``weight_decay_rate`` of :class:`~chainrule.optimizers.Adam`.

    Source:
        Liu et al., `On the Variance of the Adaptive Learning Rate and Beyond
        <https://arxiv.org/abs/1908.03265>`_. The threshold is 5, as in the authors' program and in
        PyTorch; the paper has 4.

    Example:
        >>> import chainrule, numpy
        >>> from chainrule.optimizers import RAdam
        >>> link = chainrule.Link(w=1)
        >>> link.w.array[:] = 1
        >>> optimizer = RAdam(alpha=0.1).setup(link)
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
