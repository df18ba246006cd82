"""AdaDelta: no rate to choose."""

from __future__ import annotations

from chainrule._core import Hyperparameter
from chainrule.optimizer import GradientMethod, HyperparameterProxy
from chainrule.schedules import Scalar
from chainrule.update_rule import UpdateRule

__all__ = ["AdaDelta", "AdaDeltaRule"]


class AdaDeltaRule(UpdateRule, algorithm="AdaDelta"):
    """Update rule of :class:`AdaDelta`.

    Args:
        parent_hyperparam: Where values that are not given come from; the defaults without it.
        rho: Decay of the running means.
        eps: Keeps the denominator from zero.
    """

    is_elementwise = True

    def __init__(
        self,
        parent_hyperparam: Hyperparameter | None = None,
        rho: Scalar | None = None,
        eps: Scalar | None = None,
    ) -> None:
        super().__init__(parent_hyperparam)
        self._override(rho=rho, eps=eps)


class AdaDelta(GradientMethod, rule=AdaDeltaRule):
    """AdaDelta: no rate to choose.

    ``msg`` and ``msdx`` are running means of ``g ** 2`` and ``dx ** 2``, where
    ``dx = sqrt((msdx + eps) / (msg + eps)) * g``; then ``p -= dx``.

    Args:
        rho: Decay of the running means.
        eps: Keeps the denominator from zero.

    Source:
        Zeiler, `ADADELTA: An Adaptive Learning Rate Method <https://arxiv.org/abs/1212.5701>`_.

    Example:
        >>> import chainrule, numpy
        >>> from chainrule.optimizers import AdaDelta
        >>> link = chainrule.Link(w=1)
        >>> link.w.array[:] = 1
        >>> optimizer = AdaDelta(eps=1.0, rho=0.0).setup(link)
        >>> link.w.grad = numpy.ones(1, numpy.float32)
        >>> optimizer.update()
        >>> link.w.array.round(3)
        array([0.293], dtype=float32)
    """

    def __init__(
        self,
        rho: Scalar = 0.95,
        eps: Scalar = 1e-6,
    ) -> None:
        super().__init__()
        self.hyperparam.rho = rho
        self.hyperparam.eps = eps

    rho = HyperparameterProxy("rho")
    eps = HyperparameterProxy("eps")
