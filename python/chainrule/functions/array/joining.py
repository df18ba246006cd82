"""Joining and cutting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import _core
from chainrule._core import Variable
from chainrule.functions._types import VariableLike


def concat(xs: Sequence[VariableLike], axis: int = 1) -> Variable:
    """Joins inputs along an axis they have.

    Args:
        xs: Inputs whose shapes differ along ``axis`` only.
        axis: The axis that grows.

    Returns:
        Variable with the inputs one after the other.

    Raises:
        IndexError: If there is no such axis.
        ValueError: If ``xs`` is empty or shapes differ elsewhere.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.concat((np.array([[1, 2]]), np.array([[3]])), axis=1).array
        array([[1, 2, 3]])
    """
    return _core.concat(xs, axis)


def stack(xs: Sequence[VariableLike], axis: int = 0) -> Variable:
    """Joins inputs along a new axis.

    Args:
        xs: Inputs of one shape.
        axis: Place of the new axis in the result.

    Returns:
        Variable with one axis more.

    Raises:
        IndexError: If there is no such place.
        ValueError: If ``xs`` is empty or shapes differ.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.stack((np.array([1, 2]), np.array([3, 4])), axis=1).array
        array([[1, 3],
               [2, 4]])
    """
    return _core.stack(xs, axis)


def split_axis(
    x: VariableLike,
    indices_or_sections: int | Sequence[int] | np.ndarray,
    axis: int,
    force_tuple: bool = True,
) -> Any:
    """Cuts an axis into parts. All are views.

    Args:
        x: Input of any shape.
        indices_or_sections: Number of equal parts, or the places to cut before.
        axis: The axis to cut.
        force_tuple: Return a tuple even if there is one part only.

    Returns:
        Tuple of Variables.

    Raises:
        IndexError: If there is no such axis.
        ValueError: If there is no equal division.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> [part.array for part in F.split_axis(np.arange(5), (2, 3), axis=0)]
        [array([0, 1]), array([2]), array([3, 4])]
    """
    return _core.split_axis(x, indices_or_sections, axis, force_tuple)


def separate(x: VariableLike, axis: int = 0) -> tuple[Variable, ...]:
    """Takes an axis apart: the inverse of stack.

    Args:
        x: Input of at least one axis.
        axis: The axis that goes.

    Returns:
        Tuple of Variables without that axis, as many as it is long.

    Raises:
        IndexError: If there is no such axis.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> [part.array for part in F.separate(np.array([[1, 2], [3, 4]]), axis=1)]
        [array([1, 3]), array([2, 4])]
    """
    return _core.separate(x, axis)
