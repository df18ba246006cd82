"""The orthogonal initializer."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.initializer import Initializer

__all__ = ["Orthogonal"]

_MODES = ("auto", "projection", "embedding", "basis")


class Orthogonal(Initializer):
    r"""Fills with a matrix whose rows or columns are orthonormal, times a scale.

    The array is seen as a matrix of ``shape[0]`` rows (outputs) and as many columns (inputs) as
    the rest holds.

    Args:
        scale: Factor of the orthonormal matrix.
        dtype: Dtype of arrays made with it; None leaves it to ``config.dtype``.
        mode: ``'embedding'`` wants no fewer outputs than inputs (orthonormal columns),
            ``'projection'`` no more (orthonormal rows), ``'basis'`` as many; ``'auto'`` takes any.
        rng: Generator with a method ``normal``; ``numpy.random`` by default.

    Raises:
        ValueError: If ``mode`` is unknown, or (when filling) the shape does not suit it.

    Source: Saxe et al., Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks, 2014.
    """

    def __init__(
        self, scale: float = 1.1, dtype: Any = None, mode: str = "auto", *, rng: Any = None
    ) -> None:
        if mode not in _MODES:
            choices = ", ".join(repr(name) for name in _MODES)
            raise ValueError(f"Invalid mode: {mode!r}. Choose from {choices}.")
        self.scale = scale
        self.mode = mode
        self.rng = rng
        super().__init__(dtype)

    def __call__(self, array: np.ndarray) -> None:
        """Fill ``array`` in place.

        Args:
            array: Array to fill.
        """
        self._check(array)
        rng = np.random if self.rng is None else self.rng
        if array.ndim == 0:
            draw = getattr(rng, "integers", None) or rng.randint
            array[...] = self.scale * (2 * draw(2) - 1)
            return
        if array.size == 0:
            raise ValueError("Array to be initialized must be non-empty.")
        outputs = array.shape[0]
        inputs = array.size // outputs
        refused = {
            "projection": outputs > inputs,
            "embedding": outputs < inputs,
            "basis": outputs != inputs,
        }
        if refused.get(self.mode):
            raise ValueError(
                f"Cannot make orthogonal {self.mode}. shape = {array.shape}, interpreted as "
                f"{inputs}-dim input and {outputs}-dim output."
            )
        drawn = rng.normal(0.0, 1.0, (outputs, inputs))
        transposed = outputs < inputs
        q, r = np.linalg.qr(drawn.T if transposed else drawn)
        # With positive diagonal in r the decomposition, and so the matrix, is unique.
        q *= np.copysign(self.scale, np.diag(r))
        array[...] = (q.T if transposed else q).reshape(array.shape)
