"""Arithmetic by element."""

from __future__ import annotations

import functools

from chainrule import _core
from chainrule._core import Variable
from chainrule.functions._types import VariableLike


def add(*xs: VariableLike) -> Variable:
    """Sum of all arguments, element by element.

    ``y = xs[0] + xs[1] + ...``

    Args:
        *xs: Two or more inputs whose shapes broadcast.

    Returns:
        Variable of the common shape.

    Raises:
        ValueError: If there are fewer than two arguments, or shapes do not broadcast.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.add(np.array([1, 2]), np.array([3, 4]), np.array([10, 20])).array
        array([14, 26])
    """
    if len(xs) < 2:
        raise ValueError(f"[add] too few arguments: got {len(xs)}, expected two or more")
    total = _core.add(xs[0], xs[1])
    return functools.reduce(_core.add, xs[2:], total)


def absolute(x: VariableLike) -> Variable:
    """Absolute value.

    ``y = |x|``; the gradient at 0 is 0.

    Args:
        x: Input of any shape and numeric dtype.

    Returns:
        Variable of the shape and dtype of ``x``.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.absolute(np.array([-1.5, 2.0], np.float32)).array
        array([1.5, 2. ], dtype=float32)
    """
    return _core.absolute(x)


def square(x: VariableLike) -> Variable:
    """Square.

    ``y = x * x``

    Args:
        x: Input of any shape and numeric dtype.

    Returns:
        Variable of the shape and dtype of ``x``.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.square(np.array([-3, 2])).array
        array([9, 4])
    """
    return _core.square(x)


def clip(x: VariableLike, x_min: float, x_max: float) -> Variable:
    """Limits values to an interval.

    ``y = min(max(x, x_min), x_max)``; the gradient passes inside and on the bounds.

    Args:
        x: Input of any shape and numeric dtype.
        x_min: Lower bound.
        x_max: Upper bound, at least ``x_min``.

    Returns:
        Variable of the shape and dtype of ``x``.

    Raises:
        ValueError: If the bounds are out of order.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.clip(np.array([-3.0, 0.5, 3.0], np.float32), -1, 1).array
        array([-1. ,  0.5,  1. ], dtype=float32)
    """
    return _core.clip(x, x_min, x_max)


def maximum(x1: VariableLike, x2: VariableLike) -> Variable:
    """The greater of two values, element by element.

    ``y = max(x1, x2)``; where they are equal, the gradient goes to ``x1``. NaN wins.

    Args:
        x1: First input.
        x2: Second input; the shapes broadcast.

    Returns:
        Variable of the common shape.

    Raises:
        ValueError: If the shapes do not broadcast.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.maximum(np.array([1.0, 5.0]), np.array([3.0, 4.0])).array
        array([3., 5.])
    """
    return _core.maximum(x1, x2)


def minimum(x1: VariableLike, x2: VariableLike) -> Variable:
    """The lesser of two values, element by element.

    ``y = min(x1, x2)``; where they are equal, the gradient goes to ``x1``. NaN wins.

    Args:
        x1: First input.
        x2: Second input; the shapes broadcast.

    Returns:
        Variable of the common shape.

    Raises:
        ValueError: If the shapes do not broadcast.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.minimum(np.array([1.0, 5.0]), np.array([3.0, 4.0])).array
        array([1., 4.])
    """
    return _core.minimum(x1, x2)
