"""Cross entropies of scores and labels."""

from __future__ import annotations

from typing import Literal

import numpy as np

from chainrule import _core
from chainrule._core import Variable
from chainrule.functions._types import VariableLike


def softmax_cross_entropy(
    x: VariableLike,
    t: Variable | np.ndarray,
    normalize: bool = True,
    cache_score: bool = True,
    class_weight: np.ndarray | None = None,
    ignore_label: int = -1,
    reduce: Literal["mean", "no"] = "mean",
    enable_double_backprop: bool = False,
    soft_target_loss: Literal["cross-entropy", "kl-divergence"] = "cross-entropy",
) -> Variable:
    """Cross entropy of the softmax of scores.

    ``loss = -class_weight[t] * log_softmax(x)[t]``, 0 where ``t`` is ``ignore_label``. The mean
    divides by the number of labels that are not ignored (``normalize``) or by the batch size, by
    one at least; class weights do not change the divisor.

    Args:
        x: Scores of floats, shape ``(batch, n_class, ...)``.
        t: Integer labels from 0 to ``n_class - 1``, shape ``(batch, ...)``; or soft targets: floats
            of the shape of ``x``, whose classes are axis 1. For these the mean divides by all
            positions, and class weights and ``ignore_label`` do not count. They get no gradient.
        normalize: Leave ignored labels out of the divisor.
        cache_score: Accepted for Chainer's sake. Two numbers per label are kept for the gradient,
            from which the scores' softmax is computed.
        class_weight: Floats of shape ``(n_class,)``, or None.
        ignore_label: Label whose loss and gradient are 0.
        reduce: ``'mean'``, or ``'no'`` for the loss of every label.
        enable_double_backprop: Accepted for Chainer's sake. The gradient can always be
            differentiated again.
        soft_target_loss: ``'cross-entropy'``, or ``'kl-divergence'``, which adds
            ``sum(t * log(t + 1e-7))``.

    Returns:
        Variable of the dtype of ``x``: 0-d, or of the shape of ``t`` (without its class axis).

    Raises:
        TypeError: If ``x`` does not hold floats, or ``t`` neither integers nor floats.
        ValueError: If shapes do not fit, a label is out of range (the message names it), or another
            argument is none of those named here.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> x = np.log(np.array([[1.0, 2.0, 1.0], [1.0, 1.0, 1.0]]))
        >>> print(F.softmax_cross_entropy(x, np.array([1, -1])).array.round(6))
        0.693147
        >>> F.softmax_cross_entropy(x, np.array([1, 3]))
        Traceback (most recent call last):
            ...
        ValueError: [softmax_cross_entropy] label out of range: got 3 at index (1,), expected \
0 <= label < 3 (the number of classes), or -1 to ignore
    """
    return _core.softmax_cross_entropy(
        x, t, normalize, class_weight, ignore_label, reduce, soft_target_loss
    )


def sigmoid_cross_entropy(
    x: VariableLike,
    t: Variable | np.ndarray,
    normalize: bool = True,
    reduce: Literal["mean", "no"] = "mean",
) -> Variable:
    """Cross entropy of the sigmoid of scores, each against a label of its own.

    ``loss = -(t * log(sigmoid(x)) + (1 - t) * log(1 - sigmoid(x)))``, 0 where ``t`` is -1. The mean
    divides by the number of labels that are not ignored (``normalize``) or by the batch size, by
    one at least.

    Args:
        x: Scores of floats.
        t: Integer labels 0 and 1, or -1 to ignore, of the shape of ``x``. They get no gradient.
        normalize: Divide by the labels not ignored instead of the batch size.
        reduce: ``'mean'``, or ``'no'`` for the loss of every label.

    Returns:
        Variable of the dtype of ``x``: 0-d, or of its shape.

    Raises:
        TypeError: If ``x`` does not hold floats or ``t`` no integers.
        ValueError: If shapes differ, or a label or ``reduce`` is none of those named here.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> x = np.array([[0.0, 100.0], [0.0, 0.0]])
        >>> print(F.sigmoid_cross_entropy(x, np.array([[1, 1], [0, -1]])).array.round(6))
        0.462098
    """
    return _core.sigmoid_cross_entropy(x, t, normalize, reduce)
