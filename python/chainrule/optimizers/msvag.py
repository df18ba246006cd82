"""M-SVAG: momentum whose step shrinks where the gradient is mostly noise."""

from __future__ import annotations

from chainrule._core import Hyperparameter
from chainrule.optimizer import GradientMethod, HyperparameterProxy
from chainrule.schedules import Scalar
from chainrule.update_rule import UpdateRule

__all__ = ["MSVAG", "MSVAGRule"]


class MSVAGRule(UpdateRule, algorithm="MSVAG"):
    """Update rule of :class:`MSVAG`.

    Args:
        parent_hyperparam: Where values that are not given come from; the defaults without it.
        lr: Learning rate.
        beta: Decay of the running means.
        eta: Multiplier of the whole step, for schedules.
        weight_decay_rate: Rate of the decay of the parameter itself.
    """

    is_elementwise = True

    def __init__(
        self,
        parent_hyperparam: Hyperparameter | None = None,
        lr: Scalar | None = None,
        beta: Scalar | None = None,
        eta: Scalar | None = None,
        weight_decay_rate: Scalar | None = None,
    ) -> None:
        super().__init__(parent_hyperparam)
        self._override(lr=lr, beta=beta, eta=eta, weight_decay_rate=weight_decay_rate)


class MSVAG(GradientMethod, rule=MSVAGRule):
    """M-SVAG: momentum whose step shrinks where the gradient is mostly noise.

    ``m`` and ``v`` are the unbiased running means of ``g`` and ``g ** 2``, ``s`` the variance of
    ``m`` estimated from them; then
    ``p -= eta * (lr * m * m ** 2 / (m ** 2 + rho * s) + weight_decay_rate * p)``.

    Args:
        lr: Learning rate.
        beta: Decay of the running means.
        eta: Multiplier of the whole step, for schedules.
        weight_decay_rate: Rate of the decay of the parameter itself.

    Source:
        Balles, Hennig, `Dissecting Adam <https://arxiv.org/abs/1705.07774>`_.

    Example:
        >>> import chainrule, numpy
        >>> from chainrule.optimizers import MSVAG
        >>> link = chainrule.Link(w=1)
        >>> link.w.array[:] = 1
        >>> optimizer = MSVAG(lr=0.1).setup(link)
        >>> link.w.grad = numpy.ones(1, numpy.float32)
        >>> optimizer.update()
        >>> link.w.array.round(3)
        array([0.9], dtype=float32)
    """

    def __init__(
        self,
        lr: Scalar = 0.1,
        beta: Scalar = 0.9,
        eta: Scalar = 1.0,
        weight_decay_rate: Scalar = 0,
    ) -> None:
        super().__init__()
        self.hyperparam.lr = lr
        self.hyperparam.beta = beta
        self.hyperparam.eta = eta
        self.hyperparam.weight_decay_rate = weight_decay_rate

    lr = HyperparameterProxy("lr")
    beta = HyperparameterProxy("beta")
    eta = HyperparameterProxy("eta")
    weight_decay_rate = HyperparameterProxy("weight_decay_rate")
