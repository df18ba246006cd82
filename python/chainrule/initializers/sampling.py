"""Convolution filters that resize images."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.initializer import Initializer

__all__ = ["DownsamplingConvFilter", "UpsamplingDeconvFilter"]


def _linear_filter(height: int, width: int) -> np.ndarray:
    """Tent-shaped weights of bilinear interpolation for a kernel of the given size."""

    def tent(extent: int) -> np.ndarray:
        factor = (extent + 1) // 2
        center = factor - 1.0 if extent % 2 == 1 else factor - 0.5
        return 1 - np.abs(np.arange(extent) - center) / factor

    return tent(height)[:, None] * tent(width)[None, :]


class _SamplingFilter(Initializer):
    """A diagonal of equal filters: channel to channel.

    Args:
        interpolation: ``'linear'``.
        dtype: Dtype of arrays made with it; None leaves it to ``config.dtype``.

    Raises:
        ValueError: If ``interpolation`` is another, or (when filling) the array is no square
            stack of filters.
    """

    def __init__(self, interpolation: str = "linear", dtype: Any = None) -> None:
        if interpolation != "linear":
            raise ValueError(f"Unsupported interpolation: {interpolation}")
        self.interpolation = interpolation
        super().__init__(dtype)

    def _normalised(self, weights: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def __call__(self, array: np.ndarray) -> None:
        """Fill ``array`` in place.

        Args:
            array: Filters of shape ``(channels, channels, height, width)``.
        """
        self._check(array)
        if array.ndim != 4 or array.shape[0] != array.shape[1]:
            raise ValueError(
                f"[{type(self).__name__}] shape: got {array.shape}, expected "
                "(channels, channels, height, width)"
            )
        channels = np.arange(array.shape[0])
        array[...] = 0
        array[channels, channels] = self._normalised(_linear_filter(*array.shape[2:]))


class UpsamplingDeconvFilter(_SamplingFilter):
    """Deconvolution filters that enlarge by bilinear interpolation.

    Args:
        interpolation: ``'linear'``.
        dtype: Dtype of arrays made with it; None leaves it to ``config.dtype``.

    Source: Long et al., Fully convolutional networks for semantic segmentation, 2015.
    """

    def _normalised(self, weights: np.ndarray) -> np.ndarray:
        return weights


class DownsamplingConvFilter(_SamplingFilter):
    """Convolution filters that shrink by bilinear interpolation; their weights sum to one.

    Args:
        interpolation: ``'linear'``.
        dtype: Dtype of arrays made with it; None leaves it to ``config.dtype``.

    Source: Long et al., Fully convolutional networks for semantic segmentation, 2015.
    """

    def _normalised(self, weights: np.ndarray) -> np.ndarray:
        return weights / weights.sum()
