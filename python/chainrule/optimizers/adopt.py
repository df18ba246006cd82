"""ADOPT: Adam that converges with any ``beta2``."""

from __future__ import annotations

from chainrule._core import Hyperparameter
from chainrule.optimizer import GradientMethod, HyperparameterProxy
from chainrule.schedules import Scalar
from chainrule.update_rule import UpdateRule

__all__ = ["ADOPT", "ADOPTRule"]


class ADOPTRule(UpdateRule, algorithm="ADOPT"):
    """Update rule of :class:`ADOPT`.

    Args:
        parent_hyperparam: Where values that are not given come from; the defaults without it.
        alpha: Learning rate.
        beta1: Decay of the running mean of scaled gradients.
        beta2: Decay of the running mean of squared gradients.
        eps: Least value of the denominator.
        weight_decay: Rate of the decay of the parameter itself; multiplied by ``alpha``, unlike
            ``weight_decay_rate`` of :class:`~chainrule.optimizers.Adam`.
        clip: Whether to clip.
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
        clip: bool | None = None,
    ) -> None:
        super().__init__(parent_hyperparam)
        self._override(
            alpha=alpha,
            beta1=beta1,
            beta2=beta2,
            eps=eps,
            weight_decay=weight_decay,
            clip=clip,
        )


class ADOPT(GradientMethod, rule=ADOPTRule):
    """ADOPT: Adam that converges with any ``beta2``.

    The gradient is divided by the second moment of the gradients *before* it, and clipped::

        u = clip(g / max(sqrt(v), eps), -(t - 1) ** 0.25, (t - 1) ** 0.25)
        m = beta1 * m + (1 - beta1) * u
        p -= alpha * (m + weight_decay * p)
        v = beta2 * v + (1 - beta2) * g ** 2

    At the first update ``v = g ** 2``, and nothing else changes.

    Args:
        alpha: Learning rate.
        beta1: Decay of the running mean of scaled gradients.
        beta2: Decay of the running mean of squared gradients.
        eps: Least value of the denominator.
        weight_decay: Rate of the decay of the parameter itself; multiplied by ``alpha``, unlike
            ``weight_decay_rate`` of :class:`~chainrule.optimizers.Adam`.
        clip: Whether to clip.

    Source:
        Taniguchi et al., `ADOPT: Modified Adam Can Converge with Any beta2 with the Optimal Rate
        <https://arxiv.org/abs/2411.02853>`_. The decay of weights, too, begins at the second
        update.

    Example:
        >>> import chainrule, numpy
        >>> from chainrule.optimizers import ADOPT
        >>> link = chainrule.Link(w=1)
        >>> link.w.array[:] = 1
        >>> optimizer = ADOPT(alpha=0.1, beta1=0.0).setup(link)
        >>> link.w.grad = numpy.ones(1, numpy.float32)
        >>> optimizer.update()
        >>> optimizer.update()
        >>> link.w.array.round(3)
        array([0.9], dtype=float32)
    """

    def __init__(
        self,
        alpha: Scalar = 0.001,
        beta1: Scalar = 0.9,
        beta2: Scalar = 0.9999,
        eps: Scalar = 1e-6,
        weight_decay: Scalar = 0.0,
        clip: bool = True,
    ) -> None:
        super().__init__()
        self.hyperparam.alpha = alpha
        self.hyperparam.beta1 = beta1
        self.hyperparam.beta2 = beta2
        self.hyperparam.eps = eps
        self.hyperparam.weight_decay = weight_decay
        self.hyperparam.clip = clip

    alpha = HyperparameterProxy("alpha")
    beta1 = HyperparameterProxy("beta1")
    beta2 = HyperparameterProxy("beta2")
    eps = HyperparameterProxy("eps")
    weight_decay = HyperparameterProxy("weight_decay")
    clip = HyperparameterProxy("clip")
