"""Adam and its variants."""

from __future__ import annotations

import math
import warnings

from chainrule._core import Hyperparameter
from chainrule.optimizer import GradientMethod, HyperparameterProxy
from chainrule.schedules import Scalar
from chainrule.update_rule import UpdateRule

__all__ = ["AMSBound", "AMSGrad", "AdaBound", "Adam", "AdamRule", "AdamW"]


def _learning_rate(hyperparam: Hyperparameter, t: int) -> float:
    if t == 0:
        raise RuntimeError(
            "Can't determine the learning rate of Adam optimizer because the update steps have "
            "not been started."
        )
    fix1 = 1.0 - math.pow(hyperparam.beta1, t)
    fix2 = 1.0 - math.pow(hyperparam.beta2, t)
    return hyperparam.alpha * math.sqrt(fix2) / fix1


def _warn_lr(name: str) -> None:
    warnings.warn(
        f"{name}.lr has been renamed to AdamRule.alpha_t. "
        f"Use of {name}.lr is deprecated in Chainer v6.",
        DeprecationWarning,
        stacklevel=3,
    )


class AdamRule(UpdateRule, algorithm="Adam"):
    """Update rule of :class:`Adam` and its variants.

    Args:
        parent_hyperparam: Where values that are not given come from; the defaults without it.
        alpha: Learning rate.
        beta1: Decay of the running mean of gradients.
        beta2: Decay of the running mean of squared gradients.
        eps: Keeps the denominator from zero.
        eta: Multiplier of the whole step, for schedules.
        weight_decay_rate: Rate of the decay of the parameter itself.
        amsgrad: Divide by the greatest mean of squares so far.
        adabound: Keep the rate of each element between bounds that close.
        final_lr: Where the bounds meet.
        gamma: How fast they close.
        weight_decay: Rate of the decay of the parameter itself, multiplied by ``alpha`` as in
            PyTorch's AdamW; the two decays add up.
        eps_hat: Whether ``eps`` stands beside ``sqrt(v)``, as in Chainer (the paper's epsilon-hat);
            if false it stands beside ``sqrt(v / (1 - beta2 ** t))``, as in the paper's Algorithm 1
            and in PyTorch.
    """

    is_elementwise = True
    _keeps_scalars = False  # not in Chainer's files

    def __init__(
        self,
        parent_hyperparam: Hyperparameter | None = None,
        alpha: Scalar | None = None,
        beta1: Scalar | None = None,
        beta2: Scalar | None = None,
        eps: Scalar | None = None,
        eta: Scalar | None = None,
        weight_decay_rate: Scalar | None = None,
        amsgrad: bool | None = None,
        adabound: bool | None = None,
        final_lr: Scalar | None = None,
        gamma: Scalar | None = None,
        weight_decay: Scalar | None = None,
        eps_hat: bool | None = None,
    ) -> None:
        super().__init__(parent_hyperparam)
        self._override(
            alpha=alpha,
            beta1=beta1,
            beta2=beta2,
            eps=eps,
            eta=eta,
            weight_decay_rate=weight_decay_rate,
            amsgrad=amsgrad,
            adabound=adabound,
            final_lr=final_lr,
            gamma=gamma,
            weight_decay=weight_decay,
            eps_hat=eps_hat,
        )

    @property
    def initial_alpha(self) -> float:
        """``alpha`` when the rule was made; later changes move AdaBound's bounds in proportion."""
        return self._scalars["initial_alpha"]

    @initial_alpha.setter
    def initial_alpha(self, alpha: float) -> None:
        self._set_scalar("initial_alpha", alpha)

    @property
    def alpha_t(self) -> float:
        """The learning rate of this step, with the corrections for the first steps."""
        return _learning_rate(self.hyperparam, self.t)

    @property
    def lr(self) -> float:
        """The old name of :attr:`alpha_t`."""
        _warn_lr("AdamRule")
        return self.alpha_t

    @property
    def bounds(self) -> tuple[float, float]:
        """Least and greatest rate of an element in this step, under ``adabound``."""
        if self.t == 0:
            raise RuntimeError(
                "Can't determine the bounds of AdaBound optimizer because the update steps have "
                "not been started."
            )
        hp = self.hyperparam
        final_lr = hp.final_lr * hp.alpha / self.initial_alpha
        lower = final_lr * (1.0 - 1.0 / (hp.gamma * self.t + 1))
        upper = final_lr * (1.0 + 1.0 / (hp.gamma * self.t))
        return lower, upper


class Adam(GradientMethod, rule=AdamRule):
    """Adam, with decoupled weight decay, AMSGrad and AdaBound as options.

    ``m += (1 - beta1) * (g - m)`` and ``v += (1 - beta2) * (g ** 2 - v)``, then
    ``p -= eta * (alpha_t * m / (sqrt(v) + eps) + (weight_decay_rate + alpha * weight_decay) * p)``
    where ``alpha_t = alpha * sqrt(1 - beta2 ** t) / (1 - beta1 ** t)``.

    Args:
        alpha: Learning rate.
        beta1: Decay of the running mean of gradients.
        beta2: Decay of the running mean of squared gradients.
        eps: Keeps the denominator from zero.
        eta: Multiplier of the whole step, for schedules.
        weight_decay_rate: Rate of the decay of the parameter itself.
        amsgrad: Divide by the greatest mean of squares so far.
        adabound: Keep the rate of each element between bounds that close.
        final_lr: Where the bounds meet.
        gamma: How fast they close.
        weight_decay: Rate of the decay of the parameter itself, multiplied by ``alpha`` as in
            PyTorch's AdamW; the two decays add up.
        eps_hat: Whether ``eps`` stands beside ``sqrt(v)``, as in Chainer (the paper's epsilon-hat);
            if false it stands beside ``sqrt(v / (1 - beta2 ** t))``, as in the paper's Algorithm 1
            and in PyTorch.

    With ``eps_hat=False`` the numbers are those of ``torch.optim.Adam``; its ``weight_decay`` is
    the hook :class:`chainrule.optimizer_hooks.WeightDecay`.

    Source:
        Kingma, Ba, `Adam: A Method for Stochastic Optimization
        <https://arxiv.org/abs/1412.6980>`_; for the options see the classes below.

    Example:
        >>> import chainrule, numpy
        >>> from chainrule.optimizers import Adam
        >>> link = chainrule.Link(w=1)
        >>> link.w.array[:] = 1
        >>> optimizer = Adam(alpha=0.1).setup(link)
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
        eta: Scalar = 1.0,
        weight_decay_rate: Scalar = 0,
        amsgrad: bool = False,
        adabound: bool = False,
        final_lr: Scalar = 0.1,
        gamma: Scalar = 1e-3,
        weight_decay: Scalar = 0.0,
        eps_hat: bool = True,
    ) -> None:
        super().__init__()
        self.hyperparam.alpha = alpha
        self.hyperparam.beta1 = beta1
        self.hyperparam.beta2 = beta2
        self.hyperparam.eps = eps
        self.hyperparam.eta = eta
        self.hyperparam.weight_decay_rate = weight_decay_rate
        self.hyperparam.amsgrad = amsgrad
        self.hyperparam.adabound = adabound
        self.hyperparam.final_lr = final_lr
        self.hyperparam.gamma = gamma
        self.hyperparam.weight_decay = weight_decay
        self.hyperparam.eps_hat = eps_hat

    alpha = HyperparameterProxy("alpha")
    beta1 = HyperparameterProxy("beta1")
    beta2 = HyperparameterProxy("beta2")
    eps = HyperparameterProxy("eps")
    eta = HyperparameterProxy("eta")
    weight_decay_rate = HyperparameterProxy("weight_decay_rate")
    amsgrad = HyperparameterProxy("amsgrad")
    adabound = HyperparameterProxy("adabound")
    final_lr = HyperparameterProxy("final_lr")
    gamma = HyperparameterProxy("gamma")
    weight_decay = HyperparameterProxy("weight_decay")
    eps_hat = HyperparameterProxy("eps_hat")

    @property
    def alpha_t(self) -> float:
        """The learning rate of this step, with the corrections for the first steps."""
        return _learning_rate(self.hyperparam, self.t)

    @property
    def lr(self) -> float:
        """The old name of :attr:`alpha_t`."""
        _warn_lr("Adam")
        return self.alpha_t


class AdamW(Adam, rule=AdamRule):
    """Adam with weight decay beside the gradient.

    Args:
        alpha: Learning rate.
        beta1: Decay of the running mean of gradients.
        beta2: Decay of the running mean of squared gradients.
        eps: Keeps the denominator from zero.
        eta: Multiplier of the whole step, for schedules.
        weight_decay_rate: Rate of the decay of the parameter itself; it is not multiplied by
            ``alpha``.
        weight_decay: Rate of the decay of the parameter itself, multiplied by ``alpha`` as in
            PyTorch's AdamW; the two decays add up.
        eps_hat: Whether ``eps`` stands beside ``sqrt(v)``, as in Chainer (the paper's epsilon-hat);
            if false it stands beside ``sqrt(v / (1 - beta2 ** t))``, as in the paper's Algorithm 1
            and in PyTorch.

    With ``weight_decay`` and ``eps_hat=False`` the numbers are those of ``torch.optim.AdamW``.

    Source:
        Loshchilov, Hutter, `Decoupled Weight Decay Regularization
        <https://arxiv.org/abs/1711.05101>`_.
    """

    def __init__(
        self,
        alpha: Scalar = 0.001,
        beta1: Scalar = 0.9,
        beta2: Scalar = 0.999,
        eps: Scalar = 1e-8,
        eta: Scalar = 1.0,
        weight_decay_rate: Scalar = 0,
        weight_decay: Scalar = 0.0,
        eps_hat: bool = True,
    ) -> None:
        super().__init__(
            alpha=alpha,
            beta1=beta1,
            beta2=beta2,
            eps=eps,
            eta=eta,
            weight_decay_rate=weight_decay_rate,
            weight_decay=weight_decay,
            eps_hat=eps_hat,
        )


class AMSGrad(Adam, rule=AdamRule):
    """Adam that divides by the greatest mean of squared gradients so far.

    Args:
        alpha: Learning rate.
        beta1: Decay of the running mean of gradients.
        beta2: Decay of the running mean of squared gradients.
        eps: Keeps the denominator from zero.
        eta: Multiplier of the whole step, for schedules.

    Source:
        Reddi et al., `On the Convergence of Adam and Beyond
        <https://openreview.net/forum?id=ryQu7f-RZ>`_.
    """

    def __init__(
        self,
        alpha: Scalar = 0.001,
        beta1: Scalar = 0.9,
        beta2: Scalar = 0.999,
        eps: Scalar = 1e-8,
        eta: Scalar = 1.0,
    ) -> None:
        super().__init__(alpha=alpha, beta1=beta1, beta2=beta2, eps=eps, eta=eta, amsgrad=True)


class AdaBound(Adam, rule=AdamRule):
    """Adam whose rates are kept between bounds that close: Adam at first, SGD at last.

    Args:
        alpha: Learning rate.
        beta1: Decay of the running mean of gradients.
        beta2: Decay of the running mean of squared gradients.
        final_lr: Where the bounds meet.
        gamma: How fast they close.
        eps: Keeps the denominator from zero.
        eta: Multiplier of the whole step, for schedules.

    Source:
        Luo et al., `Adaptive Gradient Methods with Dynamic Bound of Learning Rate
        <https://openreview.net/forum?id=Bkg3g2R9FX>`_.
    """

    _amsgrad = False

    def __init__(
        self,
        alpha: Scalar = 0.001,
        beta1: Scalar = 0.9,
        beta2: Scalar = 0.999,
        final_lr: Scalar = 0.1,
        gamma: Scalar = 1e-3,
        eps: Scalar = 1e-8,
        eta: Scalar = 1.0,
    ) -> None:
        super().__init__(
            alpha=alpha,
            beta1=beta1,
            beta2=beta2,
            eps=eps,
            eta=eta,
            amsgrad=self._amsgrad,
            adabound=True,
            final_lr=final_lr,
            gamma=gamma,
        )


class AMSBound(AdaBound, rule=AdamRule):
    """AdaBound on top of AMSGrad.

    Args:
        alpha: Learning rate.
        beta1: Decay of the running mean of gradients.
        beta2: Decay of the running mean of squared gradients.
        final_lr: Where the bounds meet.
        gamma: How fast they close.
        eps: Keeps the denominator from zero.
        eta: Multiplier of the whole step, for schedules.

    Source:
        Luo et al., `Adaptive Gradient Methods with Dynamic Bound of Learning Rate
        <https://openreview.net/forum?id=Bkg3g2R9FX>`_.
    """

    _amsgrad = True
