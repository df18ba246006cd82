"""Small tools for functions and links written in Python."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.utils import argument, type_check


def force_array(x: Any, dtype: Any = None) -> np.ndarray:
    """Make an array of a number, which is what NumPy leaves of a reduced array.

    Args:
        x: A number or an array.
        dtype: Dtype of the result; that of ``x`` by default.

    Returns:
        An array; ``x`` itself where it is one of the right dtype.
    """
    return np.asarray(x, dtype=dtype)


def force_type(dtype: Any, value: Any) -> Any:
    """Give a number or an array another dtype; Python numbers stay.

    Args:
        dtype: The dtype.
        value: A number or an array.

    Returns:
        The value.
    """
    if np.isscalar(value) and not isinstance(value, np.generic):
        return value
    return value if value.dtype == dtype else value.astype(dtype)


def size_of_shape(shape: tuple[int, ...]) -> int:
    """Count the elements of a shape.

    Args:
        shape: The shape.

    Returns:
        The product of its extents.
    """
    size = 1
    for extent in shape:
        size *= extent
    return size


def sum_to(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Undo broadcasting: sum an array down to a shape that broadcasts to its own.

    Args:
        x: Array of any dtype.
        shape: Shape of the result.

    Returns:
        The sums; ``x`` itself where it has the shape already.

    Example:
        >>> import numpy
        >>> sum_to(numpy.ones((2, 3)), (1, 3))
        array([[2., 2., 2.]])
    """
    if x.shape == shape:
        return x
    lead = x.ndim - len(shape)
    axes = (
        *range(lead),
        *(lead + axis for axis, extent in enumerate(shape) if extent == 1 != x.shape[lead + axis]),
    )
    return x.sum(axis=axes, keepdims=True).reshape(shape)


@contextlib.contextmanager
def tempdir(**kwargs: Any) -> Iterator[str]:
    """Make a folder that is gone after the block, read-only files included.

    Args:
        **kwargs: Passed to ``tempfile.mkdtemp``; ``ignore_errors`` to its removal.
    """
    ignore_errors = kwargs.pop("ignore_errors", False)
    folder = tempfile.mkdtemp(**kwargs)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=ignore_errors)
