"""Smooth activations made of the exponential."""

from __future__ import annotations

from chainrule import _core
from chainrule._core import Variable
from chainrule.functions._types import VariableLike


def sigmoid(x: VariableLike) -> Variable:
    """Logistic sigmoid.

    ``y = 1 / (1 + exp(-x))``

    Args:
        x: Input of any shape; integers are computed on as floats.

    Returns:
        Variable of the shape of ``x``.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.sigmoid(np.array([0.0, 100.0], np.float32)).array
        array([0.5, 1. ], dtype=float32)
    """
    return _core.sigmoid(x)


def tanh(x: VariableLike) -> Variable:
    """Hyperbolic tangent.

    ``y = (exp(x) - exp(-x)) / (exp(x) + exp(-x))``

    Args:
        x: Input of any shape; integers are computed on as floats.

    Returns:
        Variable of the shape of ``x``.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.tanh(np.array([0.0, 100.0], np.float32)).array
        array([0., 1.], dtype=float32)
    """
    return _core.tanh(x)


def softplus(x: VariableLike, beta: float = 1.0) -> Variable:
    """A smooth rectifier, without overflow for any ``x``.

    ``y = log(1 + exp(beta * x)) / beta``

    Args:
        x: Input of any shape; integers are computed on as floats.
        beta: Sharpness; the rectifier is the limit of a large one.

    Returns:
        Variable of the shape of ``x``.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.softplus(np.array([0.0, 1000.0], np.float32)).array
        array([6.931472e-01, 1.000000e+03], dtype=float32)
    """
    return _core.softplus(x, beta)
