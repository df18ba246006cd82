"""Rprop: a step of its own for every element, from signs alone; for full batches."""

from __future__ import annotations

from chainrule._core import Hyperparameter
from chainrule.optimizer import GradientMethod, HyperparameterProxy
from chainrule.schedules import Scalar
from chainrule.update_rule import UpdateRule

__all__ = ["Rprop", "RpropRule"]


class RpropRule(UpdateRule, algorithm="Rprop"):
    """Update rule of :class:`Rprop`.

    Args:
        parent_hyperparam: Where values that are not given come from; the defaults without it.
        lr: First step of each element.
        eta_minus: Factor where the sign has turned.
        eta_plus: Factor where it has not.
        min_step: Least step.
        max_step: Greatest step.
    """

    is_elementwise = True

    def __init__(
        self,
        parent_hyperparam: Hyperparameter | None = None,
        lr: Scalar | None = None,
        eta_minus: Scalar | None = None,
        eta_plus: Scalar | None = None,
        min_step: Scalar | None = None,
        max_step: Scalar | None = None,
    ) -> None:
        super().__init__(parent_hyperparam)
        self._override(
            lr=lr,
            eta_minus=eta_minus,
            eta_plus=eta_plus,
            min_step=min_step,
            max_step=max_step,
        )


class Rprop(GradientMethod, rule=RpropRule):
    """Rprop: a step of its own for every element, from signs alone; for full batches.

    Where the gradient ``g`` kept its sign, ``delta = min(delta * eta_plus, max_step)``. Where it
    turned, ``delta = max(delta * eta_minus, min_step)`` and the element waits once: it does not
    move, and the next gradient leaves ``delta`` as it is. Otherwise ``p -= delta * sign(g)``.

    Args:
        lr: First step of each element.
        eta_minus: Factor where the sign has turned.
        eta_plus: Factor where it has not.
        min_step: Least step.
        max_step: Greatest step.

    Source:
        Riedmiller, Braun, `A direct adaptive method for faster backpropagation learning: The RPROP
        algorithm <https://doi.org/10.1109/ICNN.1993.298623>`_.

    Example:
        >>> import chainrule, numpy
        >>> from chainrule.optimizers import Rprop
        >>> link = chainrule.Link(w=1)
        >>> link.w.array[:] = 1
        >>> optimizer = Rprop(lr=0.1).setup(link)
        >>> link.w.grad = numpy.ones(1, numpy.float32)
        >>> optimizer.update()
        >>> link.w.array.round(3)
        array([0.9], dtype=float32)
    """

    def __init__(
        self,
        lr: Scalar = 0.01,
        eta_minus: Scalar = 0.5,
        eta_plus: Scalar = 1.2,
        min_step: Scalar = 1e-6,
        max_step: Scalar = 50.0,
    ) -> None:
        super().__init__()
        self.hyperparam.lr = lr
        self.hyperparam.eta_minus = eta_minus
        self.hyperparam.eta_plus = eta_plus
        self.hyperparam.min_step = min_step
        self.hyperparam.max_step = max_step

    lr = HyperparameterProxy("lr")
    eta_minus = HyperparameterProxy("eta_minus")
    eta_plus = HyperparameterProxy("eta_plus")
    min_step = HyperparameterProxy("min_step")
    max_step = HyperparameterProxy("max_step")
