"""Dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import _core
from chainrule.configuration import config
from chainrule.functions._types import VariableLike


def dropout(
    x: VariableLike,
    ratio: float = 0.5,
    *,
    mask: np.ndarray | None = None,
    return_mask: bool = False,
) -> Any:
    """Zeroes elements at random while training, and scales the others to make up for it.

    ``y = x * mask`` where ``mask`` is 0 with probability ``ratio`` and ``1 / (1 - ratio)``
    otherwise. Where ``config.train`` is False, ``x`` itself is returned.

    The choice is made by a counter-based generator (Philox) with a key drawn from
    ``numpy.random``, so that it is the same for any number of threads and on every device. With
    ``config.chainer_semantics`` the numbers themselves are drawn from ``numpy.random``.

    Args:
        x: Input of any shape and floating dtype.
        ratio: Probability to zero an element, 0 <= ratio < 1.
        mask: Used instead of a drawn one; of the shape of ``x``, scaled.
        return_mask: Return ``(y, mask)``; the mask is None where nothing is dropped.

    Returns:
        Variable of the shape and dtype of ``x``, or a pair of it and the mask.

    Raises:
        TypeError: If ``x`` is of no floating dtype.
        ValueError: If ``ratio`` is out of range.

    Reference:
        Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov: Dropout, JMLR 15, 2014.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> x = np.ones(4, np.float32)
        >>> F.dropout(x, 0.5, mask=np.array([0, 2, 2, 0], np.float32)).array
        array([0., 2., 2., 0.], dtype=float32)
    """
    if not config.train:
        y = _core.as_variable(x)
        return (y, None) if return_mask else y
    if mask is None and not config.chainer_semantics:
        key = int.from_bytes(np.random.bytes(8), "little")
        y = _core.dropout(x, ratio, key)
        return (y, _core.dropout_mask(x, ratio, key)) if return_mask else y
    if mask is None:
        mask = _core.dropout_mask(x, ratio, np.random.rand(*np.shape(x)))
    y = _core.multiply(x, mask)
    return (y, mask) if return_mask else y
