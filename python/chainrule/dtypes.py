"""The dtype that new parameters get, and the mixed-precision marker ``mixed16``."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import configuration

__all__ = ["get_dtype", "mixed16"]


class _Mixed16:
    """Stands for "float16 for data, float32 where precision matters"."""

    dtype = np.dtype(np.float16)

    def __repr__(self) -> str:
        return "dtype('mixed16')"

    def __str__(self) -> str:
        return "<mixed16>"


mixed16 = _Mixed16()


def get_dtype(dtype: Any = None, map_mixed16: Any = None) -> np.dtype:
    """Resolve a dtype as Chainer's links do.

    Args:
        dtype: Anything ``numpy.dtype`` takes, ``mixed16``, or None for ``config.dtype``.
        map_mixed16: What ``mixed16`` stands for here; float16 by default.

    Returns:
        A NumPy dtype.

    Raises:
        TypeError: If ``dtype`` names none.

    Example:
        >>> import chainrule
        >>> chainrule.get_dtype()
        dtype('float32')
        >>> chainrule.get_dtype(chainrule.mixed16, map_mixed16="float32")
        dtype('float32')
    """
    if dtype is None:
        dtype = configuration.config.dtype
    if dtype is mixed16:
        dtype = map_mixed16 if map_mixed16 is not None else mixed16.dtype
    return np.dtype(dtype)
