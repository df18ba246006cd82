"""Shapes, axes and dtypes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule import _core
from chainrule._core import Variable
from chainrule.functions._types import AxisLike, VariableLike


def reshape(x: VariableLike, shape: int | Sequence[int]) -> Variable:
    """The same elements in another shape; a view where that is possible.

    Args:
        x: Input of any shape.
        shape: The new shape; one length may be -1 and is then found.

    Returns:
        Variable of that shape.

    Raises:
        ValueError: If the number of elements differs.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.reshape(np.arange(4), (2, -1)).array
        array([[0, 1],
               [2, 3]])
    """
    return _core.reshape(x, shape)


def flatten(x: VariableLike) -> Variable:
    """All elements along one axis.

    Args:
        x: Input of any shape.

    Returns:
        Variable of one axis.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.flatten(np.array([[1, 2], [3, 4]])).array
        array([1, 2, 3, 4])
    """
    return _core.flatten(x)


def expand_dims(x: VariableLike, axis: int) -> Variable:
    """Adds an axis of length one. A view.

    Args:
        x: Input of any shape.
        axis: Its place in the result.

    Returns:
        Variable of one axis more.

    Raises:
        IndexError: If there is no such place.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.expand_dims(np.zeros((2, 3)), 1).shape
        (2, 1, 3)
    """
    return _core.expand_dims(x, axis)


def squeeze(x: VariableLike, axis: AxisLike = None) -> Variable:
    """Drops axes of length one. A view.

    Args:
        x: Input of any shape.
        axis: Axis or axes to drop; None for all that have length one.

    Returns:
        Variable without them.

    Raises:
        IndexError: If there is no such axis.
        ValueError: If an axis is longer.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.squeeze(np.zeros((1, 2, 1, 3))).shape
        (2, 3)
    """
    return _core.squeeze(x, axis)


def transpose(x: VariableLike, axes: Sequence[int] | None = None) -> Variable:
    """Puts the axes into another order. A view.

    Args:
        x: Input of any shape.
        axes: The old places of the new axes; None turns their order around.

    Returns:
        Variable with the axes in that order.

    Raises:
        IndexError: If there is no such axis.
        ValueError: If ``axes`` does not name every axis once.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.transpose(np.zeros((2, 3, 4)), (2, 0, 1)).shape
        (4, 2, 3)
    """
    return _core.transpose(x, axes)


def swapaxes(x: VariableLike, axis1: int, axis2: int) -> Variable:
    """Exchanges two axes. A view.

    Args:
        x: Input of any shape.
        axis1: One axis.
        axis2: The other one.

    Returns:
        Variable with the axes exchanged.

    Raises:
        IndexError: If there is no such axis.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.swapaxes(np.zeros((2, 3, 4)), 0, 2).shape
        (4, 3, 2)
    """
    return _core.swapaxes(x, axis1, axis2)


def moveaxis(
    x: VariableLike, source: int | Sequence[int], destination: int | Sequence[int]
) -> Variable:
    """Moves axes; the others keep their order. A view.

    Args:
        x: Input of any shape.
        source: Old places of the axes to move.
        destination: New places of these axes.

    Returns:
        Variable with the axes moved.

    Raises:
        IndexError: If there is no such axis.
        ValueError: If an axis is named twice, or the two differ in length.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.moveaxis(np.zeros((2, 3, 4)), 0, -1).shape
        (3, 4, 2)
    """
    return _core.moveaxis(x, source, destination)


def rollaxis(x: VariableLike, axis: int, start: int = 0) -> Variable:
    """Moves one axis before another. A view.

    Args:
        x: Input of any shape.
        axis: The axis to move.
        start: The axis it will stand before.

    Returns:
        Variable with the axis moved.

    Raises:
        IndexError: If there is no such axis.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.rollaxis(np.zeros((2, 3, 4)), 2).shape
        (4, 2, 3)
    """
    return _core.rollaxis(x, axis, start)


def broadcast_to(x: VariableLike, shape: Sequence[int]) -> Variable:
    """Repeats an input to a shape, without a copy.

    Args:
        x: Input of a shape that broadcasts to ``shape``.
        shape: The shape.

    Returns:
        Variable of that shape.

    Raises:
        ValueError: If ``x`` does not broadcast to it.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.broadcast_to(np.array([1, 2]), (2, 2)).array
        array([[1, 2],
               [1, 2]])
    """
    return _core.broadcast_to(x, shape)


def broadcast(*args: VariableLike) -> tuple[Variable, ...]:
    """Repeats all inputs to their common shape, without copies.

    Args:
        *args: Inputs whose shapes broadcast.

    Returns:
        Tuple of Variables of one shape.

    Raises:
        ValueError: If there is no common shape.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> [x.shape for x in F.broadcast(np.zeros((2, 1)), np.zeros(3))]
        [(2, 3), (2, 3)]
    """
    return _core.broadcast(args)


def cast(x: VariableLike, typ: Any) -> Variable:
    """Converts to another dtype.

    Args:
        x: Input of any shape.
        typ: The dtype; ``"bfloat16"`` is one too. The gradient is converted back.

    Returns:
        Variable of that dtype; ``x`` itself where it has it already.

    Raises:
        TypeError: If there is no such dtype.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.cast(np.array([1.5, 2.0], np.float32), np.int32).array
        array([1, 2], dtype=int32)
    """
    return _core.cast(x, typ)
