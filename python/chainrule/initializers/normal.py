"""Initializers that draw from normal distributions."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.initializer import Initializer, get_fans

__all__ = ["GlorotNormal", "HeNormal", "LeCunNormal", "Normal"]


class Normal(Initializer):
    """Fills with draws from a normal distribution around zero.

    Args:
        scale: Standard deviation.
        dtype: Dtype of arrays made with it; None leaves it to ``config.dtype``.
        rng: Generator with a method ``normal(loc, scale, size)``; ``numpy.random`` by default.
    """

    def __init__(self, scale: float = 0.05, dtype: Any = None, *, rng: Any = None) -> None:
        self.scale = scale
        self.rng = rng
        super().__init__(dtype)

    def _deviation(self, shape: tuple[int, ...]) -> float:
        return self.scale

    def __call__(self, array: np.ndarray) -> None:
        """Fill ``array`` in place.

        Args:
            array: Array to fill.
        """
        self._check(array)
        deviation = self._deviation(array.shape)
        rng = np.random if self.rng is None else self.rng
        array[...] = rng.normal(loc=0.0, scale=deviation, size=array.shape)


class LeCunNormal(Normal):
    r"""Normal draws with deviation :math:`s \sqrt{1 / \mathrm{fan_{in}}}`.

    Args:
        scale: The factor :math:`s`.
        dtype: Dtype of arrays made with it; None leaves it to ``config.dtype``.
        rng: Generator to draw from; ``numpy.random`` by default.

    Source: LeCun et al., Efficient BackProp, 1998.
    """

    def __init__(self, scale: float = 1.0, dtype: Any = None, *, rng: Any = None) -> None:
        super().__init__(scale, dtype, rng=rng)

    def _deviation(self, shape: tuple[int, ...]) -> float:
        fan_in, _ = get_fans(shape)
        return self.scale * float(np.sqrt(1.0 / fan_in))


class GlorotNormal(Normal):
    r"""Normal draws with deviation :math:`s \sqrt{2 / (\mathrm{fan_{in}} + \mathrm{fan_{out}})}`.

    Args:
        scale: The factor :math:`s`.
        dtype: Dtype of arrays made with it; None leaves it to ``config.dtype``.
        rng: Generator to draw from; ``numpy.random`` by default.

    Source: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural
    networks, 2010.
    """

    def __init__(self, scale: float = 1.0, dtype: Any = None, *, rng: Any = None) -> None:
        super().__init__(scale, dtype, rng=rng)

    def _deviation(self, shape: tuple[int, ...]) -> float:
        fan_in, fan_out = get_fans(shape)
        return self.scale * float(np.sqrt(2.0 / (fan_in + fan_out)))


class HeNormal(Normal):
    r"""Normal draws with deviation :math:`s \sqrt{2 / \mathrm{fan}}`.

    Args:
        scale: The factor :math:`s`.
        dtype: Dtype of arrays made with it; None leaves it to ``config.dtype``.
        fan_option: ``'fan_in'`` keeps the variance forward, ``'fan_out'`` backward.
        rng: Generator to draw from; ``numpy.random`` by default.

    Raises:
        ValueError: If ``fan_option`` is neither (when filling).

    Source: He et al., Delving deep into rectifiers, 2015.
    """

    def __init__(
        self,
        scale: float = 1.0,
        dtype: Any = None,
        fan_option: str = "fan_in",
        *,
        rng: Any = None,
    ) -> None:
        self.fan_option = fan_option
        super().__init__(scale, dtype, rng=rng)

    def _deviation(self, shape: tuple[int, ...]) -> float:
        fan_in, fan_out = get_fans(shape)
        if self.fan_option not in ("fan_in", "fan_out"):
            raise ValueError("fan_option should be either 'fan_in' or 'fan_out'.")
        fan = fan_in if self.fan_option == "fan_in" else fan_out
        return self.scale * float(np.sqrt(2.0 / fan))
