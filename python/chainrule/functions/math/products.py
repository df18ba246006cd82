"""Products of matrices."""

from __future__ import annotations

from chainrule import _core
from chainrule._core import Variable
from chainrule.functions._types import VariableLike


def matmul(
    a: VariableLike, b: VariableLike, transa: bool = False, transb: bool = False
) -> Variable:
    """Matrix product.

    ``y = a @ b`` over the last two axes; the axes before them broadcast. A vector on the left is
    a row, one on the right a column, whose axis is then left out of the result.

    Args:
        a: Left operand of one axis or more.
        b: Right operand of one axis or more.
        transa: Swap the last two axes of ``a`` first (a vector stays as it is).
        transb: Swap the last two axes of ``b`` first.

    Returns:
        Variable of the common dtype.

    Raises:
        ValueError: If the shapes do not fit, or an operand is a number.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.matmul(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 10.0])).array
        array([21., 43.])
        >>> F.matmul(np.ones((5, 2, 3)), np.ones((4, 3)), transb=True).shape
        (5, 2, 4)
    """
    return _core.matmul(a, b, transa, transb)
