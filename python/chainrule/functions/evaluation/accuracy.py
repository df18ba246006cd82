"""Accuracy of classifications."""

from __future__ import annotations

import numpy as np

from chainrule import _core
from chainrule._core import Variable
from chainrule.functions._types import VariableLike


def accuracy(
    y: VariableLike, t: Variable | np.ndarray, ignore_label: int | None = None
) -> Variable:
    """How often the class of the greatest score is the label.

    ``acc = mean(argmax(y, axis=1) == t)`` over the labels not ignored; 0 if there are none.

    Args:
        y: Scores of floats, shape ``(batch, n_class, ...)``; of equal ones the first counts.
        t: Integer labels, shape ``(batch, ...)``. Axes of ``y`` beyond its own must be of length 1.
        ignore_label: Label to leave out, or None.

    Returns:
        0-d variable of the dtype of ``y``, without a gradient.

    Raises:
        TypeError: If ``y`` does not hold floats or ``t`` no integers.
        ValueError: If shapes do not fit.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> y = np.array([[0.1, 0.7, 0.2], [8.0, 1.0, 2.0], [-8.0, 1.0, 2.0]])
        >>> F.accuracy(y, np.array([1, 2, -1]), ignore_label=-1).array
        array(0.5)
    """
    return _core.accuracy(y, t, ignore_label)
