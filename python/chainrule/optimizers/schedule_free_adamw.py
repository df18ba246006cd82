"""Schedule-Free AdamW: averages in place of a schedule and of the first moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainrule._core import Hyperparameter, Variable
from chainrule._rule_state import held
from chainrule.optimizer import GradientMethod, HyperparameterProxy
from chainrule.schedules import Scalar
from chainrule.update_rule import UpdateRule

if TYPE_CHECKING:
    import numpy as np

__all__ = ["ScheduleFreeAdamW", "ScheduleFreeAdamWRule"]


class ScheduleFreeAdamWRule(UpdateRule, algorithm="ScheduleFreeAdamW"):
    """Update rule of :class:`ScheduleFreeAdamW`.

    Args:
        parent_hyperparam: Where values that are not given come from; the defaults without it.
        alpha: Learning rate.
        beta1: Where between ``z`` and ``x`` gradients are taken.
        beta2: Decay of the running mean of squared gradients.
        eps: Keeps the denominator from zero.
        weight_decay: Rate of the decay of the parameter itself; multiplied by ``alpha``, unlike
            ``weight_decay_rate`` of :class:`~chainrule.optimizers.Adam`.
        warmup_steps: Updates until the rate has its value.
        r: Power of the step's number in the weights of the average.
        weight_lr_power: Power of the largest rate in the weights of the average.
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
        warmup_steps: int | None = None,
        r: Scalar | None = None,
        weight_lr_power: Scalar | None = None,
    ) -> None:
        super().__init__(parent_hyperparam)
        self._override(
            alpha=alpha,
            beta1=beta1,
            beta2=beta2,
            eps=eps,
            weight_decay=weight_decay,
            warmup_steps=warmup_steps,
            r=r,
            weight_lr_power=weight_lr_power,
        )

    def averaged_value(self, param: Variable) -> np.ndarray | Variable | None:
        """Give the average ``x`` of what the parameter went through.

        Args:
            param: The parameter.

        Returns:
            The average, on a GPU a Variable; None before the first update.
        """
        return held(self.state, "x")


class ScheduleFreeAdamW(GradientMethod, rule=ScheduleFreeAdamWRule):
    """Schedule-Free AdamW: averages in place of a schedule and of the first moment.

    Gradients are taken at ``y``, which is what the parameter holds; the states ``z`` and ``x``
    begin at the parameter, and ``v`` is the running mean of ``g ** 2``::

        u = g / (sqrt(v / (1 - beta2 ** t)) + eps)
        z -= alpha * (u + weight_decay * y)
        x = (1 - c) * x + c * z
        y = (1 - beta1) * z + beta1 * x

    The rate grows linearly during the first ``warmup_steps`` updates. The share ``c`` is this
    update's part in the sum of the weights ``t ** r * max_rate ** weight_lr_power``, where
    ``max_rate`` is the largest rate so far.

    The average ``x`` is what to evaluate and to ship: ``with optimizer.averaged():`` lets the
    parameters hold it for a while.

    Args:
        alpha: Learning rate.
        beta1: Where between ``z`` and ``x`` gradients are taken.
        beta2: Decay of the running mean of squared gradients.
        eps: Keeps the denominator from zero.
        weight_decay: Rate of the decay of the parameter itself; multiplied by ``alpha``, unlike
            ``weight_decay_rate`` of :class:`~chainrule.optimizers.Adam`.
        warmup_steps: Updates until the rate has its value.
        r: Power of the step's number in the weights of the average.
        weight_lr_power: Power of the largest rate in the weights of the average.

    Source:
        Defazio et al., `The Road Less Scheduled <https://arxiv.org/abs/2405.15682>`_. The authors'
        package works ``x`` out from ``y`` and ``z``; here it is kept, so that nothing is lost on
        the way.

    Example:
        >>> import chainrule, numpy
        >>> from chainrule.optimizers import ScheduleFreeAdamW
        >>> link = chainrule.Link(w=1)
        >>> link.w.array[:] = 1
        >>> optimizer = ScheduleFreeAdamW(alpha=0.1).setup(link)
        >>> link.w.grad = numpy.ones(1, numpy.float32)
        >>> optimizer.update()
        >>> link.w.grad[:] = 1
        >>> optimizer.update()
        >>> link.w.array.round(3)
        array([0.845], dtype=float32)
        >>> with optimizer.averaged():
        ...     link.w.array.round(3)
        array([0.85], dtype=float32)
    """

    def __init__(
        self,
        alpha: Scalar = 0.0025,
        beta1: Scalar = 0.9,
        beta2: Scalar = 0.999,
        eps: Scalar = 1e-8,
        weight_decay: Scalar = 0.0,
        warmup_steps: int = 0,
        r: Scalar = 0.0,
        weight_lr_power: Scalar = 2.0,
    ) -> None:
        super().__init__()
        self.hyperparam.alpha = alpha
        self.hyperparam.beta1 = beta1
        self.hyperparam.beta2 = beta2
        self.hyperparam.eps = eps
        self.hyperparam.weight_decay = weight_decay
        self.hyperparam.warmup_steps = warmup_steps
        self.hyperparam.r = r
        self.hyperparam.weight_lr_power = weight_lr_power

    alpha = HyperparameterProxy("alpha")
    beta1 = HyperparameterProxy("beta1")
    beta2 = HyperparameterProxy("beta2")
    eps = HyperparameterProxy("eps")
    weight_decay = HyperparameterProxy("weight_decay")
    warmup_steps = HyperparameterProxy("warmup_steps")
    r = HyperparameterProxy("r")
    weight_lr_power = HyperparameterProxy("weight_lr_power")
