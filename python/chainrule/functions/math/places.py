"""Where the greatest and the least are."""

from __future__ import annotations

from chainrule import _core
from chainrule._core import Variable
from chainrule.functions._types import VariableLike


def argmax(x: VariableLike, axis: int | None = None) -> Variable:
    """Place of the greatest element, the first of several; a NaN counts as the greatest.

    Args:
        x: Input of any shape.
        axis: The axis to look along; None for the flattened array.

    Returns:
        Variable of dtype int32 without ``axis``; it takes no gradient.

    Raises:
        IndexError: If there is no such axis.
        ValueError: If there is nothing to choose from.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.argmax(np.array([[1.0, 7.0, 7.0], [5.0, 2.0, 1.0]]), axis=1).array
        array([1, 0], dtype=int32)
    """
    return _core.argmax(x, axis)


def argmin(x: VariableLike, axis: int | None = None) -> Variable:
    """Place of the least element, the first of several; a NaN counts as the least.

    Args:
        x: Input of any shape.
        axis: The axis to look along; None for the flattened array.

    Returns:
        Variable of dtype int32 without ``axis``; it takes no gradient.

    Raises:
        IndexError: If there is no such axis.
        ValueError: If there is nothing to choose from.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.argmin(np.array([[1.0, 7.0, 1.0], [5.0, 2.0, 1.0]]), axis=1).array
        array([0, 2], dtype=int32)
    """
    return _core.argmin(x, axis)
