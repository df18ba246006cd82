"""Activations that keep what is positive."""

from __future__ import annotations

from chainrule import _core
from chainrule._core import Variable
from chainrule.functions._types import VariableLike


def relu(x: VariableLike) -> Variable:
    """Rectified linear unit.

    ``y = max(x, 0)``; the gradient at 0 is 0.

    Args:
        x: Input of any shape; integers are computed on as floats.

    Returns:
        Variable of the shape of ``x``.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.relu(np.array([-1.0, 2.0], np.float32)).array
        array([0., 2.], dtype=float32)
    """
    return _core.relu(x)


def leaky_relu(x: VariableLike, slope: float = 0.2) -> Variable:
    """Leaky rectified linear unit.

    ``y = x`` where ``x >= 0``, ``slope * x`` elsewhere.

    Args:
        x: Input of any shape; integers are computed on as floats.
        slope: Slope of the negative side.

    Returns:
        Variable of the shape of ``x``.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.leaky_relu(np.array([-1.0, 2.0], np.float32), slope=0.5).array
        array([-0.5,  2. ], dtype=float32)
    """
    return _core.leaky_relu(x, slope)


def elu(x: VariableLike, alpha: float = 1.0) -> Variable:
    """Exponential linear unit.

    ``y = x`` where ``x >= 0``, ``alpha * (exp(x) - 1)`` elsewhere.

    Args:
        x: Input of any shape; integers are computed on as floats.
        alpha: What the negative side approaches, with the other sign.

    Returns:
        Variable of the shape of ``x``.

    Reference:
        Clevert, Unterthiner, Hochreiter: Fast and accurate deep network learning by exponential
        linear units (ELUs), 2015.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> F.elu(np.array([-1.0, 2.0], np.float32)).array
        array([-0.63212055,  2.        ], dtype=float32)
    """
    return _core.elu(x, alpha)
