"""Sums, means and extrema over axes."""

from __future__ import annotations

from chainrule import _core
from chainrule._core import Variable
from chainrule.functions._types import AxisLike, VariableLike


def sum(x: VariableLike, axis: AxisLike = None, keepdims: bool = False) -> Variable:
    """Sum over axes.

    float32 and halves are added up in blocks whose sums are collected in float64, so that the
    error does not grow with the number of elements; the bits do not depend on the number of
    threads.

    Args:
        x: Input of any shape; bools and integers are summed in int64.
        axis: Axis or axes to sum over; None for all.
        keepdims: Keep the axes with length one.

    Returns:
        Variable of the remaining shape.

    Raises:
        IndexError: If there is no such axis.
        ValueError: If an axis is named twice.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.sum(np.array([[1.0, 2.0], [3.0, 4.0]]), axis=0).array
        array([4., 6.])
    """
    return _core.sum(x, axis, keepdims)


def average(
    x: VariableLike,
    axis: AxisLike = None,
    weights: VariableLike | None = None,
    keepdims: bool = False,
) -> Variable:
    """Mean over axes, weighted if wanted.

    ``y = sum(w * x) / sum(w)``

    Args:
        x: Input of any shape; integers are averaged in float64.
        axis: Axis or axes to average over; None for all.
        weights: Weights of the shape of ``x``, or of the shape of the averaged axes alone.
        keepdims: Keep the axes with length one.

    Returns:
        Variable of the remaining shape.

    Raises:
        IndexError: If there is no such axis.
        ValueError: If an axis is named twice or the weights have another shape.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> x = np.array([[1.0, 3.0], [0.0, 8.0]])
        >>> F.average(x, axis=1, weights=np.array([3.0, 1.0])).array
        array([1.5, 2. ])
    """
    if weights is None:
        return _core.mean(x, axis, keepdims)
    return _core.average(x, weights, axis, keepdims)


mean = average


def max(x: VariableLike, axis: AxisLike = None, keepdims: bool = False) -> Variable:
    """Greatest element over axes.

    NaN wins. Every element that is equal to the greatest gets the whole gradient, as in Chainer.

    Args:
        x: Input of any shape.
        axis: Axis or axes to reduce; None for all.
        keepdims: Keep the axes with length one.

    Returns:
        Variable of the remaining shape, of the dtype of ``x``.

    Raises:
        IndexError: If there is no such axis.
        ValueError: If an axis is named twice, or there is nothing to choose from.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.max(np.array([[1.0, 7.0], [5.0, 2.0]]), axis=1).array
        array([7., 5.])
    """
    return _core.max(x, axis, keepdims)


def min(x: VariableLike, axis: AxisLike = None, keepdims: bool = False) -> Variable:
    """Least element over axes.

    NaN wins. Every element that is equal to the least gets the whole gradient, as in Chainer.

    Args:
        x: Input of any shape.
        axis: Axis or axes to reduce; None for all.
        keepdims: Keep the axes with length one.

    Returns:
        Variable of the remaining shape, of the dtype of ``x``.

    Raises:
        IndexError: If there is no such axis.
        ValueError: If an axis is named twice, or there is nothing to choose from.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.min(np.array([[1.0, 7.0], [5.0, 2.0]]), axis=1).array
        array([1., 2.])
    """
    return _core.min(x, axis, keepdims)


def logsumexp(x: VariableLike, axis: AxisLike = None) -> Variable:
    """Logarithm of a sum of exponentials, without overflow.

    ``y = log(sum(exp(x)))``

    Args:
        x: Input of any shape; integers are computed on as floats.
        axis: Axis or axes to sum over; None for all.

    Returns:
        Variable of the remaining shape.

    Raises:
        IndexError: If there is no such axis.
        ValueError: If an axis is named twice.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.logsumexp(np.array([1000.0, 1000.0])).array
        array(1000.69314718)
    """
    return _core.logsumexp(x, axis)


def sum_to(x: VariableLike, shape: tuple[int, ...]) -> Variable:
    """The inverse of broadcasting: sums what it would have repeated.

    Args:
        x: Input of a shape that ``shape`` broadcasts to.
        shape: Shape of the result.

    Returns:
        Variable of that shape.

    Raises:
        ValueError: If ``shape`` does not broadcast to the shape of ``x``.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.sum_to(np.array([[1.0, 2.0], [3.0, 4.0]]), (2, 1)).array
        array([[3.],
               [7.]])
    """
    return _core.sum_to(x, shape)
