"""AdaBelief: Adam that trusts gradients near their mean."""

from __future__ import annotations

from chainrule._core import Hyperparameter
from chainrule.optimizer import GradientMethod, HyperparameterProxy
from chainrule.schedules import Scalar
from chainrule.update_rule import UpdateRule

__all__ = ["AdaBelief", "AdaBeliefRule"]


class AdaBeliefRule(UpdateRule, algorithm="AdaBelief"):
    """Update rule of :class:`AdaBelief`.

    Args:
        parent_hyperparam: Where values that are not given come from; the defaults without it.
        alpha: Learning rate.
        beta1: Decay of the running mean of gradients.
        beta2: Decay of the running mean of squared distances from that mean.
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


class AdaBelief(GradientMethod, rule=AdaBeliefRule):
    """AdaBelief: Adam that trusts gradients near their mean.

    ``m = beta1 * m + (1 - beta1) * g`` and
    ``s = beta2 * s + (1 - beta2) * (g - m) ** 2 + eps``, then::

        u = m / (1 - beta1 ** t) / (sqrt(s / (1 - beta2 ** t)) + eps)
        p -= alpha * (u + weight_decay * p)

    Args:
        alpha: Learning rate.
        beta1: Decay of the running mean of gradients.
        beta2: Decay of the running mean of squared distances from that mean.
        eps: Keeps the denominator from zero.
        weight_decay: Rate of the decay of the parameter itself; multiplied by ``alpha``, unlike
            ``weight_decay_rate`` of :class:`~chainrule.optimizers.Adam`.

    Source:
        Zhuang et al., `AdaBelief Optimizer: Adapting Stepsizes by the Belief in Observed Gradients
        <https://arxiv.org/abs/2010.07468>`_. The authors' package also rectifies as RAdam does
        unless told otherwise; this is the paper's algorithm 2, with the ``eps`` outside the root
        that the package adds to it.

    Example:
        >>> import chainrule, numpy
        >>> from chainrule.optimizers import AdaBelief
        >>> link = chainrule.Link(w=1)
        >>> link.w.array[:] = 1
        >>> optimizer = AdaBelief(alpha=0.1).setup(link)
        >>> link.w.grad = numpy.ones(1, numpy.float32)
        >>> optimizer.update()
        >>> link.w.array.round(3)
        array([0.889], dtype=float32)
    """

    def __init__(
        self,
        alpha: Scalar = 0.001,
        beta1: Scalar = 0.9,
        beta2: Scalar = 0.999,
        eps: Scalar = 1e-16,
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
