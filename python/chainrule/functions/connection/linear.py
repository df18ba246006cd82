"""The linear function."""

from __future__ import annotations

from chainrule import _core
from chainrule._core import Variable
from chainrule.functions._types import VariableLike


def linear(
    x: VariableLike,
    W: VariableLike,
    b: VariableLike | None = None,
    n_batch_axes: int = 1,
) -> Variable:
    """Linear (affine) function of each row.

    ``y = x @ W.T + b``

    Args:
        x: Input of floats; its first ``n_batch_axes`` axes number the rows, the others together
            are the ``n_in`` values of a row.
        W: Weight, shape ``(n_out, n_in)``.
        b: Bias, shape ``(n_out,)``, or None.
        n_batch_axes: How many axes of ``x`` number the rows.

    Returns:
        Variable of the dtype of ``x``, shape ``(*batch_axes, n_out)``.

    Raises:
        TypeError: If an argument does not hold floats.
        ValueError: If shapes do not fit, or ``n_batch_axes`` is not between 1 and ``x.ndim``.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> x = np.array([[1.0, 2.0]], np.float32)
        >>> W = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], np.float32)
        >>> F.linear(x, W, np.full(3, 10, np.float32)).array
        array([[11., 12., 13.]], dtype=float32)
    """
    return _core.linear(x, W, b, n_batch_axes)
