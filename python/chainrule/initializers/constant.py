"""Initializers that draw no random numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.initializer import Initializer

__all__ = ["Constant", "Identity", "NaN", "One", "Zero"]


class Constant(Initializer):
    """Fills with one value, or with an array that is broadcast.

    Args:
        fill_value: A number, or an array that broadcasts to the shape.
        dtype: Dtype of arrays made with it; None leaves it to ``config.dtype``.

    Raises:
        ValueError: If ``fill_value`` is no number, or (when filling) does not broadcast.

    Example:
        >>> import chainrule
        >>> chainrule.initializers.generate_array(Constant(0.5), (2,))
        array([0.5, 0.5], dtype=float32)
    """

    fill_value: Any

    def __init__(self, fill_value: Any, dtype: Any = None) -> None:
        if isinstance(fill_value, str):
            raise ValueError(
                f"[{type(self).__name__}] fill_value: got {fill_value!r}, expected a number, an "
                "array or an initializer"
            )
        self.fill_value = fill_value
        super().__init__(dtype)

    def __call__(self, array: np.ndarray) -> None:
        """Fill ``array`` in place.

        Args:
            array: Array to fill.
        """
        self._check(array)
        array[...] = self.fill_value


class Zero(Constant):
    """Fills with zeros.

    Args:
        dtype: Dtype of arrays made with it; None leaves it to ``config.dtype``.
    """

    def __init__(self, dtype: Any = None) -> None:
        super().__init__(0.0, dtype)


class One(Constant):
    """Fills with ones.

    Args:
        dtype: Dtype of arrays made with it; None leaves it to ``config.dtype``.
    """

    def __init__(self, dtype: Any = None) -> None:
        super().__init__(1.0, dtype)


class NaN(Constant):
    """Fills with NaN, which makes a forgotten initialisation show.

    Args:
        dtype: Dtype of arrays made with it; None leaves it to ``config.dtype``.
    """

    def __init__(self, dtype: Any = None) -> None:
        super().__init__(float("nan"), dtype)


class Identity(Initializer):
    """Fills a square matrix with a multiple of the identity.

    Args:
        scale: The value on the diagonal.
        dtype: Dtype of arrays made with it; None leaves it to ``config.dtype``.
    """

    def __init__(self, scale: float = 1.0, dtype: Any = None) -> None:
        self.scale = scale
        super().__init__(dtype)

    def __call__(self, array: np.ndarray) -> None:
        """Fill ``array`` in place.

        Args:
            array: A square matrix.

        Raises:
            ValueError: If it is none.
        """
        self._check(array)
        if array.ndim != 2 or array.shape[0] != array.shape[1]:
            raise ValueError(
                "Identity matrix initialization can only be used for 2D squared matrices."
            )
        array[...] = 0
        np.fill_diagonal(array, self.scale)
