"""Second moments kept by rows and columns: Adafactor."""

from __future__ import annotations

from chainrule._core import Hyperparameter
from chainrule.optimizer import GradientMethod, HyperparameterProxy
from chainrule.schedules import Scalar
from chainrule.update_rule import UpdateRule

__all__ = ["Adafactor", "AdafactorRule"]


class AdafactorRule(UpdateRule, algorithm="Adafactor"):
    """Update rule of :class:`Adafactor`.

    Args:
        parent_hyperparam: Where values that are not given come from; the defaults without it.
        lr: Greatest relative step; the learning rate itself without ``relative_step``.
        beta1: Decay of the running mean of updates; 0 keeps none, and no memory for it.
        decay_rate: Exponent of the decay of second moments.
        clip_threshold: Greatest root mean square of an update, before the rate.
        eps1: Added to squared gradients.
        eps2: Least size of a parameter that ``scale_parameter`` goes by.
        weight_decay: Rate of the decay of the parameter itself, times ``lr``.
        relative_step: Let the rate fall with the step, as in the paper.
        scale_parameter: Let the rate go with the size of the parameter, as in the paper.
    """

    def __init__(
        self,
        parent_hyperparam: Hyperparameter | None = None,
        lr: Scalar | None = None,
        beta1: Scalar | None = None,
        decay_rate: Scalar | None = None,
        clip_threshold: Scalar | None = None,
        eps1: Scalar | None = None,
        eps2: Scalar | None = None,
        weight_decay: Scalar | None = None,
        relative_step: bool | None = None,
        scale_parameter: bool | None = None,
    ) -> None:
        super().__init__(parent_hyperparam)
        self._override(
            lr=lr,
            beta1=beta1,
            decay_rate=decay_rate,
            clip_threshold=clip_threshold,
            eps1=eps1,
            eps2=eps2,
            weight_decay=weight_decay,
            relative_step=relative_step,
            scale_parameter=scale_parameter,
        )


class Adafactor(GradientMethod, rule=AdafactorRule):
    r"""Second moments kept by rows and columns, for a fraction of Adam's memory.

    With the decay ``b = 1 - t ** -decay_rate`` of step ``t``, a matrix keeps the means of its rows
    and columns alone (of the last two dimensions, where there are more):

    ``row = b * row + (1 - b) * mean(g ** 2 + eps1, axis=-1)``,
    ``col = b * col + (1 - b) * mean(g ** 2 + eps1, axis=-2)``,
    ``u = g / sqrt(row[:, None] * col[None, :] / mean(row))``.

    A vector keeps ``v = b * v + (1 - b) * (g ** 2 + eps1)``, and ``u = g / sqrt(v)``. Then

    ``p = (1 - lr * weight_decay) * p - rate * u / max(1, rms(u) / clip_threshold)``,

    where ``rms(x)`` is the root of the mean of ``x ** 2``, and ``rate`` is
    ``min(lr, 1 / sqrt(t)) * max(eps2, rms(p))``; ``relative_step=False`` leaves ``lr`` for the
    minimum, ``scale_parameter=False`` leaves the maximum out. With ``beta1`` the parameter moves by
    a running mean ``m`` of these updates instead. Parameters on a GPU are updated there; the host
    waits once per update, for the sizes of all parameters and directions.

    Args:
        lr: Greatest relative step; the learning rate itself without ``relative_step``.
        beta1: Decay of the running mean of updates; 0 keeps none, and no memory for it.
        decay_rate: Exponent of the decay of second moments.
        clip_threshold: Greatest root mean square of an update, before the rate.
        eps1: Added to squared gradients.
        eps2: Least size of a parameter that ``scale_parameter`` goes by.
        weight_decay: Rate of the decay of the parameter itself, times ``lr``.
        relative_step: Let the rate fall with the step, as in the paper.
        scale_parameter: Let the rate go with the size of the parameter, as in the paper.

    Raises:
        ValueError: By :meth:`update`, if a value is out of range. Nothing is changed then.

    Source:
        Shazeer and Stern, `Adafactor: Adaptive Learning Rates with Sublinear Memory Cost
        <https://arxiv.org/abs/1804.04235>`_, 2018; ``lr`` and ``weight_decay`` as in PyTorch.

    Example:
        >>> import chainrule, numpy
        >>> from chainrule.optimizers import Adafactor
        >>> net = chainrule.links.Linear(300, 200)
        >>> optimizer = Adafactor().setup(net)
        >>> net.W.grad, net.b.grad = numpy.ones_like(net.W.array), numpy.ones_like(net.b.array)
        >>> optimizer.update()
        >>> {name: state.shape for name, state in net.W.update_rule.state.items()}
        {'row': (200,), 'col': (300,)}
    """

    def __init__(
        self,
        lr: Scalar = 0.01,
        beta1: Scalar = 0.0,
        decay_rate: Scalar = 0.8,
        clip_threshold: Scalar = 1.0,
        eps1: Scalar = 1e-30,
        eps2: Scalar = 1e-3,
        weight_decay: Scalar = 0.0,
        relative_step: bool = True,
        scale_parameter: bool = True,
    ) -> None:
        super().__init__()
        self.hyperparam.lr = lr
        self.hyperparam.beta1 = beta1
        self.hyperparam.decay_rate = decay_rate
        self.hyperparam.clip_threshold = clip_threshold
        self.hyperparam.eps1 = eps1
        self.hyperparam.eps2 = eps2
        self.hyperparam.weight_decay = weight_decay
        self.hyperparam.relative_step = relative_step
        self.hyperparam.scale_parameter = scale_parameter

    lr = HyperparameterProxy("lr")
    beta1 = HyperparameterProxy("beta1")
    decay_rate = HyperparameterProxy("decay_rate")
    clip_threshold = HyperparameterProxy("clip_threshold")
    eps1 = HyperparameterProxy("eps1")
    eps2 = HyperparameterProxy("eps2")
    weight_decay = HyperparameterProxy("weight_decay")
    relative_step = HyperparameterProxy("relative_step")
    scale_parameter = HyperparameterProxy("scale_parameter")
