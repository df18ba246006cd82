"""Start values of parameters. Random ones are drawn from ``numpy.random``, so that
``numpy.random.seed`` makes a model repeatable."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import _core
from chainrule.dtypes import get_dtype
from chainrule.initializer import Initializer
from chainrule.initializers.constant import Constant, Identity, NaN, One, Zero
from chainrule.initializers.normal import GlorotNormal, HeNormal, LeCunNormal, Normal
from chainrule.initializers.orthogonal import Orthogonal
from chainrule.initializers.sampling import DownsamplingConvFilter, UpsamplingDeconvFilter
from chainrule.initializers.uniform import GlorotUniform, HeUniform, LeCunUniform, Uniform

#: What an argument such as ``initialW`` takes.
InitializerLike = Initializer | Callable[[np.ndarray], Any] | np.ndarray | float | None


def generate_array(
    initializer: Callable[[np.ndarray], Any],
    shape: tuple[int, ...],
    xp: Any = np,
    dtype: Any = None,
    device: Any = None,
) -> np.ndarray:
    """Make an array and fill it.

    Args:
        initializer: Called with the array to fill it; its ``dtype`` is used if it has one.
        shape: Shape of the array.
        xp: NumPy.
        dtype: Dtype of the array; by default the initializer's, or ``config.dtype``.
        device: Kept for Chainer's signature; arrays are made on the CPU.

    Returns:
        The array.

    Raises:
        ValueError: If ``dtype`` and the initializer's differ.

    Example:
        >>> import chainrule
        >>> chainrule.initializers.generate_array(chainrule.initializers.One(), (2,))
        array([1., 1.], dtype=float32)
    """
    wanted = getattr(initializer, "dtype", None)
    if dtype is not None and wanted is not None and np.dtype(dtype) != np.dtype(wanted):
        raise ValueError(f"dtype mismatch: {np.dtype(dtype)} != {np.dtype(wanted)}")
    array = _empty(shape, get_dtype(dtype if dtype is not None else wanted))
    initializer(array)
    return array


def _empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """Make an array like ``np.empty``'s on memory of our own.

    NumPy's arrays start within a line of the cache, so that each vector that the processor stores
    to them touches two.
    """
    size = math.prod(shape if isinstance(shape, tuple) else (shape,)) * dtype.itemsize
    if not 0 < size < 1 << 62:
        return np.empty(shape, dtype)
    return _core.empty_bytes(size).view(dtype).reshape(shape)


def _get_initializer(initializer: InitializerLike) -> Callable[[np.ndarray], Any]:
    """Turn what a user may pass as an initializer into one: None, a number, an array, itself."""
    if initializer is None:
        return LeCunNormal()
    if np.isscalar(initializer) or isinstance(initializer, np.ndarray):
        return Constant(initializer)
    if not callable(initializer):
        raise TypeError(
            f"[initializer] got {type(initializer).__name__}, expected None, a number, an array "
            "or a callable that fills an array"
        )
    return initializer
