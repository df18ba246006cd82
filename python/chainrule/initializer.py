"""The base of all initializers."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["Initializer", "get_fans"]


class Initializer:
    """Fills an array with start values.

    A subclass writes into the array that ``__call__`` gets.

    Args:
        dtype: Dtype of arrays made with it; None leaves it to ``config.dtype``.
    """

    def __init__(self, dtype: Any = None) -> None:
        self.dtype = dtype

    def __call__(self, array: np.ndarray) -> None:
        """Fill ``array`` in place.

        Args:
            array: Array of any shape and dtype.

        Raises:
            NotImplementedError: Always; a subclass says what is written.
        """
        raise NotImplementedError

    def _check(self, array: np.ndarray) -> None:
        """Refuse an array of another dtype than the one this initializer was made for."""
        if self.dtype is not None and array.dtype != self.dtype:
            raise TypeError(
                f"[{type(self).__name__}] dtype of the array: got {array.dtype}, "
                f"expected {np.dtype(self.dtype)}"
            )


def get_fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Count the inputs and outputs of one unit of a weight.

    Args:
        shape: ``(out, in, ...)``; further dimensions are a receptive field.

    Returns:
        ``(fan_in, fan_out)``: inputs that reach one output, outputs that one input reaches.

    Raises:
        ValueError: If there are fewer than two dimensions.

    Example:
        >>> get_fans((4, 3, 2, 2))
        (12, 16)
    """
    if len(shape) < 2:
        raise ValueError(f"shape must be of length >= 2. Actual shape: {shape}")
    field = 1
    for extent in shape[2:]:
        field *= extent
    return shape[1] * field, shape[0] * field
