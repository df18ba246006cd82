"""Noise on gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule._numbers import Number

if TYPE_CHECKING:
    from chainrule.optimizer import UpdateRule
    from chainrule.variable import Parameter

__all__ = ["GradientNoise", "exponential_decay_noise"]


def exponential_decay_noise(
    xp: Any, shape: tuple[int, ...], dtype: Any, hook: GradientNoise, opt: UpdateRule
) -> np.ndarray:
    """Draw Gaussian noise whose variance falls with the number of updates.

    ``sigma ** 2 = eta / (1 + t) ** 0.55``

    Args:
        xp: The array module: NumPy, or CuPy for a parameter on a GPU.
        shape: Shape of the noise.
        dtype: Its dtype.
        hook: The hook; its ``eta`` scales the variance.
        opt: The update rule; its ``t`` counts the updates.

    Returns:
        The noise, drawn from ``xp.random``.
    """
    std = np.sqrt(hook.eta / np.power(1 + opt.t, 0.55))
    return xp.random.normal(0, std, shape).astype(dtype)


class GradientNoise:
    """Adds noise to gradients, by default Gaussian and fading.

    ``g += noise_func(...)``

    Args:
        eta: Scale of the variance; 0.01, 0.3 or 1.0 in the paper.
        noise_func: Called as ``noise_func(xp, shape, dtype, hook, rule)``; gives an array of
            that shape and dtype.

    Attributes:
        eta (float): Scale of the variance.
        noise_func (Callable): What makes the noise.
        timing (str): ``'pre'``: runs before the update.
        call_for_each_param (bool): True: it stands on each parameter by itself.

    Source:
        Neelakantan et al., `Adding Gradient Noise Improves Learning for Very Deep Networks
        <https://arxiv.org/abs/1511.06807>`_.
    """

    name = "GradientNoise"
    timing = "pre"
    call_for_each_param = True

    eta = Number(
        "Scale of the variance.", "a finite number from 0 on", lambda eta: 0 <= eta < math.inf
    )

    def __init__(
        self, eta: float, noise_func: Callable[..., np.ndarray] = exponential_decay_noise
    ) -> None:
        self.eta = eta
        if not callable(noise_func):
            raise TypeError(
                f"[{type(self).__name__}] noise_func: got {noise_func!r}, expected a function"
            )
        self.noise_func = noise_func

    def __call__(self, rule: UpdateRule, param: Parameter) -> None:
        """Add noise to a gradient, if there is one.

        Args:
            rule: The rule of the parameter.
            param: The parameter.
        """
        grad = param.grad
        if grad is not None:
            grad += self.noise_func(param.xp, grad.shape, grad.dtype, self, rule)
