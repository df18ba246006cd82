"""Choosing elements."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule import _core
from chainrule._core import Variable
from chainrule.functions._types import AxisLike, IndexLike, VariableLike


def get_item(x: VariableLike, slices: IndexLike) -> Variable:
    """The elements ``x[slices]`` names, by NumPy's rules.

    Integers, slices, None and Ellipsis give a view; arrays of integers and masks a copy. An
    element that is taken several times gets the sum of the gradients.

    Args:
        x: Input of any shape.
        slices: What stands between the brackets.

    Returns:
        Variable with the chosen elements.

    Raises:
        IndexError: If an index is out of range, or there are more than ``x`` has axes.
        ValueError: If the step of a slice is zero.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.get_item(np.arange(6).reshape(2, 3), (slice(None), [2, 0, 2])).array
        array([[2, 0, 2],
               [5, 3, 5]])
    """
    return _core.get_item(x, slices)


def select_item(x: VariableLike, t: VariableLike) -> Variable:
    """One element of each row.

    ``y[i] = x[i, t[i]]``

    Args:
        x: Input of shape (n, m).
        t: Places in the rows: integers of shape (n,).

    Returns:
        Variable of shape (n,).

    Raises:
        IndexError: If a place is out of range.
        TypeError: If ``t`` holds no integers.
        ValueError: If the shapes do not fit.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.select_item(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1, 0])).array
        array([2., 3.])
    """
    return _core.select_item(x, t)


def where(condition: VariableLike, x: VariableLike, y: VariableLike) -> Variable:
    """Chooses between two inputs, element by element.

    ``x`` where ``condition`` holds, ``y`` elsewhere.

    Args:
        condition: Bools, or numbers that are true where they are not 0; takes no gradient.
        x: Where it holds.
        y: Where it does not; all shapes broadcast.

    Returns:
        Variable of the common shape.

    Raises:
        ValueError: If the shapes do not broadcast.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.where(np.array([True, False]), np.array([1.0, 2.0]), np.array([3.0, 4.0])).array
        array([1., 4.])
    """
    return _core.where(condition, x, y)


def flip(x: VariableLike, axis: AxisLike = None) -> Variable:
    """Turns axes around. A view.

    Args:
        x: Input of any shape.
        axis: Axis or axes to turn; None for all.

    Returns:
        Variable of the shape of ``x``.

    Raises:
        IndexError: If there is no such axis.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.flip(np.array([[1, 2], [3, 4]]), axis=1).array
        array([[2, 1],
               [4, 3]])
    """
    return _core.flip(x, axis)


def repeat(x: VariableLike, repeats: int | Sequence[int], axis: int | None = None) -> Variable:
    """Repeats every element, one after the other.

    Args:
        x: Input of any shape.
        repeats: How often; or one number for each element of ``axis``.
        axis: The axis that grows; None for the flattened array.

    Returns:
        Variable with the repeated elements.

    Raises:
        IndexError: If there is no such axis.
        ValueError: If a number is negative or there are too few or too many.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.repeat(np.array([1, 2, 3]), 2).array
        array([1, 1, 2, 2, 3, 3])
    """
    return _core.repeat(x, repeats, axis)
