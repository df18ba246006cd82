"""Exponential, logarithm, root."""

from __future__ import annotations

from chainrule import _core
from chainrule._core import Variable
from chainrule.functions._types import VariableLike


def exp(x: VariableLike) -> Variable:
    """Exponential.

    ``y = e ** x``

    Args:
        x: Input of any shape; integers are computed on as floats.

    Returns:
        Variable of the shape of ``x``.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.exp(np.array([0.0, 1.0])).array
        array([1.        , 2.71828183])
    """
    return _core.exp(x)


def log(x: VariableLike) -> Variable:
    """Natural logarithm.

    ``y = log(x)``; -inf at 0, NaN below.

    Args:
        x: Input of any shape; integers are computed on as floats.

    Returns:
        Variable of the shape of ``x``.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.log(np.array([1.0, 0.0])).array
        array([  0., -inf])
    """
    return _core.log(x)


def sqrt(x: VariableLike) -> Variable:
    """Square root.

    ``y = x ** 0.5``; the gradient at 0 is infinite.

    Args:
        x: Input of any shape; integers are computed on as floats.

    Returns:
        Variable of the shape of ``x``.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.sqrt(np.array([4.0, 9.0], np.float32)).array
        array([2., 3.], dtype=float32)
    """
    return _core.sqrt(x)
