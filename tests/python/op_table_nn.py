"""Rows of op_table.py for matrix products, softmax, losses and accuracy."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

import chainrule.functions as F
from op_table import INTEGERS, Case, Row


def labels(low: int, high: int) -> Callable[..., np.ndarray]:
    return lambda rng, shape: rng.integers(low, high, shape).astype(np.int32)


# Products.


def matmul(a: np.ndarray, b: np.ndarray, transa: bool = False, transb: bool = False) -> np.ndarray:
    if transa and a.ndim > 1:
        a = np.swapaxes(a, -1, -2)
    if transb and b.ndim > 1:
        b = np.swapaxes(b, -1, -2)
    return np.matmul(a, b)


def linear(x: np.ndarray, W: np.ndarray, b: Any = None, n_batch_axes: int = 1) -> np.ndarray:
    shape = x.shape[:n_batch_axes]
    y = x.reshape(int(np.prod(shape)), W.shape[1]) @ W.T
    return (y if b is None else y + b).reshape(*shape, len(W))


MATMUL_SHAPES = (
    ((3, 4), (4, 5)),
    ((4,), (4,)),
    ((4,), (4, 3)),
    ((2, 4), (4,)),
    ((2, 3, 4), (4,)),
    ((4,), (2, 4, 3)),
    ((2, 3, 4), (2, 4, 5)),
    ((5, 1, 3, 4), (2, 4, 1)),
    ((2, 3, 4), (4, 5)),
    ((3, 4), (2, 4, 5)),
    ((3, 0), (0, 2)),
    ((0, 3), (3, 2)),
    ((2, 0, 3), (3, 2)),
    ((0, 2, 3), (0, 3, 2)),
    ((1, 1), (1, 1)),
    ((20, 40), (40, 30)),
)
MATMUL_TRANSPOSED = (
    (((4, 3), (4, 5)), (True, False)),
    (((3, 4), (5, 4)), (False, True)),
    (((4, 3), (5, 4)), (True, True)),
    (((2, 4, 3), (5, 4)), (True, True)),
    (((2, 3, 4), (5, 4)), (False, True)),
    (((4,), (3, 4)), (True, True)),
    (((4, 3), (4,)), (True, True)),
    (((2, 1, 4, 3), (3, 5, 4)), (True, True)),
)
PRODUCTS = [
    Row(
        "matmul",
        F.matmul,
        matmul,
        (
            *(Case(shapes) for shapes in MATMUL_SHAPES),
            *(Case(shapes, args=trans) for shapes, trans in MATMUL_TRANSPOSED),
        ),
        factor=4,
    ),
    # Integers wrap as NumPy's do, bools stay bools.
    Row(
        "matmul",
        F.matmul,
        np.matmul,
        (Case(((3, 4), (4, 5))), Case(((2, 30, 40), (40, 50))), Case(((7,), (7,)))),
        low=-100,
        high=100,
        dtypes=(np.dtype(bool), *INTEGERS),
        slopes=False,
    ),
    Row(
        "linear",
        F.linear,
        linear,
        (
            Case(((3, 4), (5, 4))),
            Case(((3, 4), (5, 4), (5,))),
            Case(((4, 2), (2, 2), (2,))),
            Case(((3, 2, 2), (5, 4), (5,))),
            Case(((2, 3, 4), (5, 4), (5,)), kwargs={"n_batch_axes": 2}),
            Case(((2, 3), (5, 1), (5,)), kwargs={"n_batch_axes": 2}),
            Case(((0, 4), (5, 4), (5,))),
            Case(((3, 0), (5, 0), (5,))),
            Case(((3, 4), (0, 4), (0,))),
            Case(((1, 1), (1, 1), (1,))),
            Case(((20, 40), (30, 40), (30,))),
        ),
        factor=4,
    ),
]


# Softmax.

SOFTMAX_CASES = (
    Case(((3, 4),)),
    *(Case(((2, 3, 4),), args=(axis,)) for axis in (0, 1, 2, -1, -3)),
    Case(((5,),), args=(0,)),
    Case(((2, 40),)),
    Case(((2, 17, 70),)),
    Case(((3, 1),)),
    Case(((0, 3),)),
    Case(((3, 0, 2),)),
    Case(((3, 0),)),
)
SOFTMAX = [
    Row(
        "softmax",
        F.softmax,
        lambda x, axis=1: special.softmax(x, axis) if x.size else x,
        SOFTMAX_CASES,
        factor=2,
    ),
    Row(
        "log_softmax",
        F.log_softmax,
        lambda x, axis=1: special.log_softmax(x, axis) if x.size else x,
        SOFTMAX_CASES,
        factor=4,
    ),
]


# Losses.


def softmax_cross_entropy(
    x: np.ndarray,
    t: np.ndarray,
    normalize: bool = True,
    class_weight: Any = None,
    ignore_label: int = -1,
    reduce: str = "mean",
    soft_target_loss: str = "cross-entropy",
) -> np.ndarray:
    log_p = special.log_softmax(x, axis=1) if x.size else x
    if t.dtype.kind == "f":
        loss = -(t * log_p).sum(axis=1)
        if soft_target_loss == "kl-divergence":
            loss = loss + (t * np.log(t + 1e-7)).sum(axis=1)
        return loss.mean(dtype=loss.dtype) if reduce == "mean" else loss
    weight = np.ones(x.shape[1], x.dtype) if class_weight is None else class_weight.astype(x.dtype)
    valid = t != ignore_label
    safe = np.where(valid, t, 0)
    loss = -np.take_along_axis(log_p, np.expand_dims(safe, 1), axis=1)[:, 0] if t.size else t * 1.0
    loss = np.where(valid, loss * weight[safe], 0).astype(x.dtype)
    if reduce == "no":
        return loss
    count = valid.sum() if normalize else len(x)
    return np.asarray(loss.sum(dtype=np.float64) / max(count, 1)).astype(x.dtype)


def sigmoid_cross_entropy(
    x: np.ndarray, t: np.ndarray, normalize: bool = True, reduce: str = "mean"
) -> np.ndarray:
    valid = t != -1
    loss = np.where(valid, np.logaddexp(0, x) - x * t, 0).astype(x.dtype)
    if reduce == "no":
        return loss
    count = valid.sum() if normalize else len(x)
    return np.asarray(loss.sum(dtype=np.float64) / max(count, 1)).astype(x.dtype)


def accuracy(y: np.ndarray, t: np.ndarray, ignore_label: int | None = None) -> np.ndarray:
    correct = y.argmax(axis=1).reshape(t.shape) == t
    if ignore_label is not None:
        correct = correct[t != ignore_label]
    return np.asarray(correct.mean() if correct.size else 0.0, y.dtype)


def probabilities(*shape: int) -> np.ndarray:
    p = np.random.default_rng(0).uniform(0.1, 1, shape)
    return p / p.sum(axis=1, keepdims=True)


LABELLED = (
    ((6, 4), (6,)),
    ((2, 4, 3, 2), (2, 3, 2)),
    ((2, 4, 70), (2, 70)),
    ((3, 40), (3,)),
    ((0, 4), (0,)),
    ((2, 4, 0), (2, 0)),
    ((1, 4), (1,)),
)
MEANS: tuple[dict[str, Any], ...] = ({}, {"normalize": False}, {"reduce": "no"})
SOFT: tuple[dict[str, Any], ...] = (
    {},
    {"reduce": "no"},
    {"soft_target_loss": "kl-divergence"},
    {"soft_target_loss": "kl-divergence", "reduce": "no"},
)
CROSS_ENTROPY = Row(
    "softmax_cross_entropy",
    F.softmax_cross_entropy,
    softmax_cross_entropy,
    tuple(Case(shapes, kwargs=keys) for shapes in LABELLED for keys in MEANS),
    fixed={1: labels(-1, 4)},
    factor=4,
)
LOSSES = [
    CROSS_ENTROPY,
    dataclasses.replace(
        CROSS_ENTROPY,
        cases=tuple(
            Case(shapes, kwargs={"class_weight": np.array([0.5, 2.0, 1.0, 0.25]), **keys})
            for shapes in LABELLED
            if shapes[0][1] == 4
            for keys in MEANS
        ),
    ),
    dataclasses.replace(
        CROSS_ENTROPY,
        cases=tuple(Case(((6, 4), (6,)), kwargs={"ignore_label": 2, **keys}) for keys in MEANS),
        fixed={1: labels(0, 4)},
    ),
    dataclasses.replace(  # all ignored
        CROSS_ENTROPY,
        cases=tuple(Case(((6, 4), (6,)), kwargs=keys) for keys in MEANS),
        fixed={1: labels(-1, 0)},
        slopes=False,
    ),
    dataclasses.replace(
        CROSS_ENTROPY,
        cases=tuple(
            Case((shape,), kwargs={"t": probabilities(*shape), **keys})
            for shape in ((6, 4), (2, 3, 2, 2))
            for keys in SOFT
        ),
        fixed={},
        result=lambda dtype: dtype,
        factor=8,
    ),
    Row(
        "sigmoid_cross_entropy",
        F.sigmoid_cross_entropy,
        sigmoid_cross_entropy,
        tuple(
            Case((shape, shape), kwargs=keys)
            for shape in ((3, 4), (7,), (0, 3), (2, 3, 500), (1, 1))
            for keys in MEANS
        ),
        fixed={1: labels(-1, 2)},
        factor=4,
    ),
    Row(
        "mean_squared_error",
        F.mean_squared_error,
        lambda a, b: np.asarray(((a - b).astype(np.float64) ** 2).mean()).astype(a.dtype),
        tuple(Case((shape, shape)) for shape in ((3, 4), (), (5,), (2, 3, 500))),
        factor=4,
    ),
    Row(
        "accuracy",
        F.accuracy,
        accuracy,
        tuple(
            Case(shapes, kwargs=keys)
            for shapes in (((6, 4), (6,)), ((2, 4, 3, 2), (2, 3, 2)), ((3, 4, 1, 1), (3,)))
            for keys in ({}, {"ignore_label": -1}, {"ignore_label": 1})
        ),
        fixed={1: labels(-1, 4)},
        slopes=False,
    ),
]

ROWS = [*PRODUCTS, *SOFTMAX, *LOSSES]
