"""Nesterov's accelerated gradient."""

from __future__ import annotations

from chainrule._core import Hyperparameter
from chainrule.optimizer import GradientMethod, HyperparameterProxy
from chainrule.schedules import Scalar
from chainrule.update_rule import UpdateRule

__all__ = ["NesterovAG", "NesterovAGRule"]


class NesterovAGRule(UpdateRule, algorithm="NesterovAG"):
    """Update rule of :class:`NesterovAG`.

    Args:
        parent_hyperparam: Where values that are not given come from; the defaults without it.
        lr: Learning rate.
        momentum: Share of the velocity that is kept at each step.
    """

    is_elementwise = True

    def __init__(
        self,
        parent_hyperparam: Hyperparameter | None = None,
        lr: Scalar | None = None,
        momentum: Scalar | None = None,
    ) -> None:
        super().__init__(parent_hyperparam)
        self._override(lr=lr, momentum=momentum)


class NesterovAG(GradientMethod, rule=NesterovAGRule):
    """Nesterov's accelerated gradient.

    ``v = momentum * v - lr * g``, then
    ``p += momentum ** 2 * v - (1 + momentum) * lr * g``.

    Args:
        lr: Learning rate.
        momentum: Share of the velocity that is kept at each step.

    PyTorch's ``SGD(nesterov=True)`` differs: it looks one step ahead,
    ``p -= lr * (g + momentum * v)`` after ``v = momentum * v + g``;
    :func:`chainrule.torch.attach` takes such an optimizer over.

    Source:
        Bengio et al., `Advances in Optimizing Recurrent Networks
        <https://arxiv.org/abs/1212.0901>`_.

    Example:
        >>> import chainrule, numpy
        >>> from chainrule.optimizers import NesterovAG
        >>> link = chainrule.Link(w=1)
        >>> link.w.array[:] = 1
        >>> optimizer = NesterovAG(lr=0.1, momentum=0.5).setup(link)
        >>> link.w.grad = numpy.ones(1, numpy.float32)
        >>> optimizer.update()
        >>> link.w.array.round(3)
        array([0.825], dtype=float32)
    """

    def __init__(
        self,
        lr: Scalar = 0.01,
        momentum: Scalar = 0.9,
    ) -> None:
        super().__init__()
        self.hyperparam.lr = lr
        self.hyperparam.momentum = momentum

    lr = HyperparameterProxy("lr")
    momentum = HyperparameterProxy("momentum")
