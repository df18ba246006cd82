"""Lion: the sign of a momentum."""

from __future__ import annotations

from chainrule._core import Hyperparameter
from chainrule.optimizer import GradientMethod, HyperparameterProxy
from chainrule.schedules import Scalar
from chainrule.update_rule import UpdateRule

__all__ = ["Lion", "LionRule"]


class LionRule(UpdateRule, algorithm="Lion"):
    """Update rule of :class:`Lion`.

    Args:
        parent_hyperparam: Where values that are not given come from; the defaults without it.
        lr: Learning rate.
        beta1: Share of the momentum in what the sign is taken of.
        beta2: Decay of the momentum.
        weight_decay: Rate of the decay of the parameter itself; multiplied by ``lr``, unlike
            ``weight_decay_rate`` of :class:`~chainrule.optimizers.Adam`.
    """

    is_elementwise = True

    def __init__(
        self,
        parent_hyperparam: Hyperparameter | None = None,
        lr: Scalar | None = None,
        beta1: Scalar | None = None,
        beta2: Scalar | None = None,
        weight_decay: Scalar | None = None,
    ) -> None:
        super().__init__(parent_hyperparam)
        self._override(
            lr=lr,
            beta1=beta1,
            beta2=beta2,
            weight_decay=weight_decay,
        )


class Lion(GradientMethod, rule=LionRule):
    """Lion: the sign of a momentum.

    ``u = beta1 * m + (1 - beta1) * g``, then ``p -= lr * (sign(u) + weight_decay * p)`` and
    ``m = beta2 * m + (1 - beta2) * g``. Every element moves by ``lr``, so that the rate is three to
    ten times smaller than Adam's, and the decay of weights as much larger.

    Args:
        lr: Learning rate.
        beta1: Share of the momentum in what the sign is taken of.
        beta2: Decay of the momentum.
        weight_decay: Rate of the decay of the parameter itself; multiplied by ``lr``, unlike
            ``weight_decay_rate`` of :class:`~chainrule.optimizers.Adam`.

    Source:
        Chen et al., `Symbolic Discovery of Optimization Algorithms
        <https://arxiv.org/abs/2302.06675>`_.

    Example:
        >>> import chainrule, numpy
        >>> from chainrule.optimizers import Lion
        >>> link = chainrule.Link(w=1)
        >>> link.w.array[:] = 1
        >>> optimizer = Lion(lr=0.1).setup(link)
        >>> link.w.grad = numpy.ones(1, numpy.float32)
        >>> optimizer.update()
        >>> link.w.array.round(3)
        array([0.9], dtype=float32)
    """

    def __init__(
        self,
        lr: Scalar = 1e-4,
        beta1: Scalar = 0.9,
        beta2: Scalar = 0.99,
        weight_decay: Scalar = 0.0,
    ) -> None:
        super().__init__()
        self.hyperparam.lr = lr
        self.hyperparam.beta1 = beta1
        self.hyperparam.beta2 = beta2
        self.hyperparam.weight_decay = weight_decay

    lr = HyperparameterProxy("lr")
    beta1 = HyperparameterProxy("beta1")
    beta2 = HyperparameterProxy("beta2")
    weight_decay = HyperparameterProxy("weight_decay")
