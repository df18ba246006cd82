"""Initializers that draw from uniform distributions."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.initializer import Initializer, get_fans

__all__ = ["GlorotUniform", "HeUniform", "LeCunUniform", "Uniform"]


class Uniform(Initializer):
    """Fills with draws from ``[-scale, scale)``.

    Args:
        scale: Half the width of the interval.
        dtype: Dtype of arrays made with it; None leaves it to ``config.dtype``.
        rng: Generator with a method ``uniform(low, high, size)``; ``numpy.random`` by default.
    """

    def __init__(self, scale: float = 0.05, dtype: Any = None, *, rng: Any = None) -> None:
        self.scale = scale
        self.rng = rng
        super().__init__(dtype)

    def _bound(self, shape: tuple[int, ...]) -> float:
        return self.scale

    def __call__(self, array: np.ndarray) -> None:
        """Fill ``array`` in place.

        Args:
            array: Array to fill.
        """
        self._check(array)
        bound = self._bound(array.shape)
        rng = np.random if self.rng is None else self.rng
        array[...] = rng.uniform(low=-bound, high=bound, size=array.shape)


class LeCunUniform(Uniform):
    r"""Uniform draws within :math:`\pm s \sqrt{3 / \mathrm{fan_{in}}}`.

    Args:
        scale: The factor :math:`s`.
        dtype: Dtype of arrays made with it; None leaves it to ``config.dtype``.
        rng: Generator to draw from; ``numpy.random`` by default.

    Source: LeCun et al., Efficient BackProp, 1998.
    """

    def __init__(self, scale: float = 1.0, dtype: Any = None, *, rng: Any = None) -> None:
        super().__init__(scale, dtype, rng=rng)

    def _bound(self, shape: tuple[int, ...]) -> float:
        fan_in, _ = get_fans(shape)
        return self.scale * float(np.sqrt(3.0 / fan_in))


class GlorotUniform(Uniform):
    r"""Uniform draws within :math:`\pm s \sqrt{6 / (\mathrm{fan_{in}} + \mathrm{fan_{out}})}`.

    Args:
        scale: The factor :math:`s`.
        dtype: Dtype of arrays made with it; None leaves it to ``config.dtype``.
        rng: Generator to draw from; ``numpy.random`` by default.

    Source: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural
    networks, 2010.
    """

    def __init__(self, scale: float = 1.0, dtype: Any = None, *, rng: Any = None) -> None:
        super().__init__(scale, dtype, rng=rng)

    def _bound(self, shape: tuple[int, ...]) -> float:
        fan_in, fan_out = get_fans(shape)
        return self.scale * float(np.sqrt(6.0 / (fan_in + fan_out)))


class HeUniform(Uniform):
    r"""Uniform draws within :math:`\pm s \sqrt{6 / \mathrm{fan_{in}}}`.

    Args:
        scale: The factor :math:`s`.
        dtype: Dtype of arrays made with it; None leaves it to ``config.dtype``.
        rng: Generator to draw from; ``numpy.random`` by default.

    Source: He et al., Delving deep into rectifiers, 2015.
    """

    def __init__(self, scale: float = 1.0, dtype: Any = None, *, rng: Any = None) -> None:
        super().__init__(scale, dtype, rng=rng)

    def _bound(self, shape: tuple[int, ...]) -> float:
        fan_in, _ = get_fans(shape)
        return self.scale * float(np.sqrt(6.0 / fan_in))
