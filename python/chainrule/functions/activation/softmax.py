"""Softmax and its logarithm."""

from __future__ import annotations

from chainrule import _core
from chainrule._core import Variable
from chainrule.functions._types import VariableLike


def softmax(x: VariableLike, axis: int = 1) -> Variable:
    """Softmax along an axis.

    ``y = exp(x) / sum(exp(x))``; large values do not overflow.

    Args:
        x: Input of floats.
        axis: Axis along which the result sums to one.

    Returns:
        Variable of the shape and dtype of ``x``.

    Raises:
        TypeError: If ``x`` does not hold floats.
        IndexError: If ``x`` has no such axis.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.softmax(np.log([[1.0, 2.0, 1.0]])).array
        array([[0.25, 0.5 , 0.25]])
    """
    return _core.softmax(x, axis)


def log_softmax(x: VariableLike, axis: int = 1) -> Variable:
    """Logarithm of softmax along an axis.

    ``y = x - log(sum(exp(x)))``; exact also where softmax itself is rounded to 0 or 1.

    Args:
        x: Input of floats.
        axis: Axis along which ``exp(y)`` sums to one.

    Returns:
        Variable of the shape and dtype of ``x``.

    Raises:
        TypeError: If ``x`` does not hold floats.
        IndexError: If ``x`` has no such axis.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.log_softmax(np.array([[0.0, 1000.0]])).array
        array([[-1000.,     0.]])
    """
    return _core.log_softmax(x, axis)
