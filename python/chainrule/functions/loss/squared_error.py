"""Squared errors."""

from __future__ import annotations

from chainrule import _core
from chainrule._core import Variable
from chainrule.functions._types import VariableLike


def mean_squared_error(x0: VariableLike, x1: VariableLike) -> Variable:
    """Mean of the squared differences.

    ``y = mean((x0 - x1) ** 2)``; it is not halved.

    Args:
        x0: Floats of any shape.
        x1: The same shape and dtype.

    Returns:
        0-d variable of the same dtype.

    Raises:
        TypeError: If the dtypes differ or are no floats.
        ValueError: If the shapes differ.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.mean_squared_error(np.array([1.0, 2.0]), np.array([1.0, 4.0])).array
        array(2.)
    """
    return _core.mean_squared_error(x0, x1)
