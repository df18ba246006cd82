"""One row per op: how to call it, what NumPy makes of it, and what it is tried on.

``test_op_table.py`` walks the table and fails when an op has no row. A row names an op of
``_core``; what ``chainrule.functions`` exports under another name has a row of that name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
from scipy import special

import chainrule.functions as F
from chainrule import _core

HALVES = (np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16))
FLOATS = (*HALVES, np.dtype(np.float32), np.dtype(np.float64))
INTEGERS = tuple(np.dtype(d) for d in (np.uint8, np.int8, np.int16, np.int32, np.int64))
NUMBERS = (*INTEGERS, *FLOATS)
ALL = (np.dtype(bool), *NUMBERS)

#: Relative tolerances against NumPy, by dtype. An op's own factor multiplies them.
RTOL = {"float64": 2e-13, "float32": 1e-6, "float16": 1.5e-3, "bfloat16": 1.2e-2}


@dataclasses.dataclass(frozen=True)
class Case:
    """One call: the shapes of its inputs, and its other arguments."""

    shapes: tuple[tuple[int, ...], ...]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        extra = [str(a) for a in self.args] + [f"{k}={v}" for k, v in self.kwargs.items()]
        return "-".join([str(s) for s in self.shapes] + extra).replace(" ", "")


@dataclasses.dataclass(frozen=True)
class Row:
    """One op.

    Attributes:
        name: Name in ``_core``, or in ``chainrule.functions`` where it differs.
        call: The function under test; takes Variables, then a case's other arguments.
        reference: The same on NumPy arrays; sees halves as float32.
        cases: What it is tried on.
        low: Inputs are drawn from low to high, one pair or one for each input.
        high: See ``low``.
        dtypes: Dtypes of the inputs.
        result: Dtype of the result from the inputs' dtype; None for NumPy's.
        slopes: Whether it has gradients (on inputs that hold floats).
        twice: Whether the gradient depends on something that can be differentiated again.
        gap: Distance that inputs keep from the kinks at 0, 1 and -1.
        distinct: Whether elements must differ by more than finite differences see.
        fixed: Inputs by position that are made by a function of (rng, shape) instead.
        factor: Of the tolerance.
        optional: Inputs that may be None.
    """

    name: str
    call: Callable[..., Any]
    reference: Callable[..., Any]
    cases: tuple[Case, ...]
    low: Any = -2.0
    high: Any = 2.0
    dtypes: tuple[np.dtype, ...] = FLOATS
    result: Callable[[np.dtype], Any] | None = None
    slopes: bool = True
    twice: bool = True
    gap: float = 0.0
    distinct: bool = False
    fixed: dict[int, Callable[..., np.ndarray]] = dataclasses.field(default_factory=dict)
    factor: float = 1.0
    optional: tuple[int, ...] = ()

    def draw(self, rng: np.random.Generator, case: Case, dtype: np.dtype) -> list[np.ndarray]:
        """Make the inputs of a case."""
        inputs = []
        for i, shape in enumerate(case.shapes):
            if i in self.fixed:
                inputs.append(self.fixed[i](rng, shape))
                continue
            low = self.low[i] if isinstance(self.low, tuple) else self.low
            high = self.high[i] if isinstance(self.high, tuple) else self.high
            if self.distinct:
                size = int(np.prod(shape))
                x = rng.permutation(np.linspace(low, high, max(size, 1)))[:size].reshape(shape)
            else:
                x = rng.uniform(low, high, shape)
            for kink in (0.0, 1.0, -1.0):
                near = np.abs(x - kink) < self.gap
                x = np.where(near, kink + np.where(x < kink, -1, 1) * self.gap, x)
            if dtype.kind in "iu":
                x = rng.integers(max(low, 0 if dtype.kind == "u" else low), high + 1, shape)
            elif dtype.kind == "b":
                x = rng.integers(0, 2, shape)
            inputs.append(np.asarray(x).astype(dtype))
        return inputs


SHAPES = ((3, 4), (), (0, 3), (1,), (2, 3, 2), (70,))
PAIRS = (
    ((3, 4), (3, 4)),
    ((3, 4), (4,)),
    ((2, 1, 3), (4, 1)),
    ((), (3,)),
    ((), ()),
    ((0, 3), (1, 3)),
    ((1,), (0,)),
)
AXES: tuple[Any, ...] = (None, 0, 1, -1, (0, 1), (2, 0), ())


def over(shapes: Any) -> tuple[Case, ...]:
    return tuple(Case((s,)) for s in shapes)


def pairs(shapes: Any = PAIRS) -> tuple[Case, ...]:
    return tuple(Case(tuple(s)) for s in shapes)


def over_axes(*extra: Case, keepdims: bool = True) -> tuple[Case, ...]:
    cases = [Case(((2, 3, 4),), kwargs={"axis": a}) for a in AXES]
    if keepdims:
        cases += [Case(((2, 3, 4),), kwargs={"axis": a, "keepdims": True}) for a in AXES]
    cases += [
        Case(((),)),
        Case(((5, 300),), kwargs={"axis": 1}),
        Case(((300, 9),), kwargs={"axis": 0}),
    ]
    return (*cases, *extra)


def unary(name: str, reference: Any, call: Any = None, cases: Any = None, **keys: Any) -> Row:
    return Row(name, call or getattr(F, name), reference, cases or over(SHAPES), **keys)


def binary(name: str, reference: Any, **keys: Any) -> Row:
    keys.setdefault("cases", pairs())
    return Row(name, keys.pop("call", getattr(_core, name)), reference, **keys)


def comparison(name: str) -> Row:
    return binary(name, getattr(np, name), dtypes=ALL, slopes=False)


def with_floats(reference: Any) -> Any:
    """Call a reference on int64 as float64: NumPy's own choice for small integers is float16."""

    def call(*arrays: np.ndarray, **keys: Any) -> Any:
        return reference(
            *(a.astype(np.float64) if a.dtype.kind in "iub" else a for a in arrays), **keys
        )

    return call


def as_float(dtype: np.dtype) -> np.dtype:
    """What NumPy's exp makes of a dtype."""
    if dtype.kind in "f" or dtype in HALVES:
        return dtype
    return np.exp(np.zeros(1, dtype)).dtype


def int64_sum(dtype: np.dtype) -> np.dtype:
    return np.dtype(np.int64) if dtype.kind in "biu" else dtype


def no_small_bool(dtypes: tuple[np.dtype, ...]) -> tuple[np.dtype, ...]:
    return tuple(d for d in dtypes if d.kind != "b")


def softplus(x: np.ndarray, beta: float = 1.0) -> np.ndarray:
    return np.logaddexp(0, beta * x).astype(x.dtype) / x.dtype.type(beta)


def weighted(x: np.ndarray, w: np.ndarray, axis: Any = None, keepdims: bool = False) -> np.ndarray:
    if isinstance(axis, tuple) and w.shape != x.shape:  # NumPy 1 wants weights of all dimensions
        w = np.expand_dims(w, tuple(d for d in range(x.ndim) if d not in axis))
        w = np.broadcast_to(w, x.shape)
    return np.average(x, axis=axis, weights=w, keepdims=keepdims)


def integers(low: int, high: int) -> Callable[..., np.ndarray]:
    return lambda rng, shape: rng.integers(low, high, shape)


def mask(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(0, 2, shape).astype(bool)


def indexed(*slices: Any, shape: tuple[int, ...] = (3, 4, 5)) -> Case:
    return Case((shape,), args=(slices[0] if len(slices) == 1 else slices,))


INDICES = (
    indexed(1),
    indexed(-1, 2),
    indexed(slice(1, None), slice(None, None, -2)),
    indexed(slice(5, 1), Ellipsis),
    indexed(None, Ellipsis, 1),
    indexed(Ellipsis, None, slice(-3, -1), None),
    indexed([2, 0, 2]),
    indexed([0, 2, 0], [1, 1, 3]),
    indexed([[0, 2], [1, 1]], slice(None), [3, 0]),
    indexed(slice(None), [[0], [1]], [3, 0, 0]),
    indexed(1, slice(None), [0, 0, 4]),
    indexed([0, 1], None, 2),
    indexed([], slice(1, 3)),
    indexed(np.array([True, False, True])),
    indexed(slice(None), np.array([True, False, True, False]), slice(None, None, 3)),
    indexed(np.arange(12).reshape(3, 4) % 2 == 0),
    indexed(np.arange(12).reshape(3, 4) % 5 == 0, [0, 1, 2]),
    indexed(True),
    indexed(False, slice(None, 2)),
    indexed(np.array(2), np.int8(-1)),
    indexed(Ellipsis, [0, 3]),
    indexed((), shape=()),
    indexed(Ellipsis, shape=()),
    indexed(slice(None), [], shape=(0, 3)),
    indexed([[1, -1]] * 40, shape=(2, 600)),
)

ELEMENTWISE = [
    unary("absolute", np.abs, dtypes=NUMBERS, gap=0.05),
    unary("square", np.square, dtypes=NUMBERS),
    unary("negative", np.negative, call=_core.negative, dtypes=NUMBERS, twice=False),
    unary("exp", np.exp, dtypes=ALL, result=as_float),
    unary("log", np.log, low=0.1, high=5, dtypes=NUMBERS, result=as_float),
    unary("sqrt", np.sqrt, low=0.1, high=5, dtypes=ALL, result=as_float),
    unary(
        "clip",
        lambda x, low, high: np.clip(x, low, high).astype(x.dtype),  # NumPy 1 widens integers
        cases=tuple(Case((s,), args=(-1, 1)) for s in SHAPES),
        dtypes=NUMBERS,
        gap=0.05,
    ),
    unary("relu", lambda x: np.maximum(x, 0).astype(as_float(x.dtype)), gap=0.05),
    unary(
        "leaky_relu",
        lambda x, slope=0.2: np.where(x >= 0, x, x * x.dtype.type(slope)),
        cases=(*over(SHAPES), Case(((5,),), kwargs={"slope": 0.5})),
        gap=0.05,
    ),
    unary(
        "elu",
        lambda x, alpha=1.0: np.where(x >= 0, x, x.dtype.type(alpha) * np.expm1(x)),
        cases=(*over(SHAPES), Case(((5,),), kwargs={"alpha": 0.5})),
        gap=0.05,
    ),
    unary("sigmoid", special.expit, low=-20, high=20, factor=4),
    unary("tanh", np.tanh, low=-6, high=6),
    unary(
        "softplus",
        softplus,
        cases=(*over(SHAPES), Case(((5,),), kwargs={"beta": 2.5})),
        low=-20,
        high=20,
        factor=4,
    ),
    binary("add", np.add, dtypes=ALL, twice=False),
    binary("subtract", np.subtract, dtypes=NUMBERS, twice=False),
    binary("multiply", np.multiply, dtypes=ALL),
    binary(
        "divide",
        with_floats(np.divide),
        low=0.5,
        high=3,
        dtypes=ALL,
        result=lambda d: d if as_float(d) == d else np.float64,
    ),
    binary("floor_divide", np.floor_divide, low=1, high=9, dtypes=NUMBERS, slopes=False),
    binary("power", np.power, low=(0.5, -2), high=(2, 2)),
    binary("maximum", np.maximum, dtypes=ALL, distinct=True, low=(-2, -1.97), high=(2, 1.93)),
    binary("minimum", np.minimum, dtypes=ALL, distinct=True, low=(-2, -1.97), high=(2, 1.93)),
    *(comparison(n) for n in ("equal", "not_equal", "less", "less_equal", "greater")),
    comparison("greater_equal"),
    Row(
        "where",
        F.where,
        np.where,
        tuple(
            Case(s)
            for s in (((3, 4),) * 3, ((4,), (3, 1), (3, 4)), ((), (2,), ()), ((0, 2), (2,), (1, 2)))
        ),
        dtypes=ALL,
        fixed={0: mask},
        twice=False,
    ),
    Row(
        "cast",
        lambda x, dtype: F.cast(x, dtype),
        lambda x, dtype: x.astype(dtype),
        tuple(
            Case((s,), args=(d,))
            for s in ((3, 4), (0, 3), ())
            for d in (np.float64, np.float32, np.int32, np.bool_)
        ),
        low=0,
        high=9,
        dtypes=ALL,
        result=lambda d: None,
        twice=False,
    ),
    Row(
        "broadcast_to",
        F.broadcast_to,
        np.broadcast_to,
        tuple(
            Case((s,), args=(t,))
            for s, t in (
                ((3, 1), (2, 3, 4)),
                ((), (2,)),
                ((1,), (0,)),
                ((0, 1), (0, 3)),
                ((2,), (2,)),
            )
        ),
        dtypes=ALL,
        twice=False,
    ),
    Row(
        "sum_to",
        F.sum_to,
        lambda x, shape: (
            np.sum(x, tuple(range(x.ndim - len(shape)))).reshape(shape)
            if np.prod(shape) == np.prod(x.shape[x.ndim - len(shape) :])
            else np.sum(x, axis=1, keepdims=True)
        ),
        (
            Case(((2, 3, 4),), args=((3, 4),)),
            Case(((3, 4),), args=((3, 1),)),
            Case(((2,),), args=((2,),)),
        ),
        twice=False,
        factor=2,
    ),
    Row(
        "broadcast",
        F.broadcast,
        np.broadcast_arrays,
        (Case(((3, 1), (2, 1, 4))), Case(((), (2,))), Case(((0, 1), (1, 3)))),
        dtypes=ALL,
        twice=False,
    ),
]

REDUCTIONS = [
    unary(
        "sum",
        np.sum,
        cases=over_axes(Case(((0, 3),), kwargs={"axis": 0}), Case(((70000,),))),
        dtypes=ALL,
        result=int64_sum,
        twice=False,
        factor=2,
    ),
    unary(
        "mean",
        np.mean,
        cases=over_axes(Case(((0, 3),), kwargs={"axis": 1}), Case(((70000,),))),
        low=1,
        dtypes=ALL,
        result=lambda d: np.dtype(np.float64) if d.kind in "biu" else d,
        twice=False,
        factor=2,
    ),
    Row(
        "average",
        lambda x, w, **keys: F.average(x, weights=w, **keys),
        weighted,
        (
            Case(((3, 4), (3, 4))),
            Case(((3, 4), (4,)), kwargs={"axis": 1}),
            Case(((2, 3, 4), (2, 4)), kwargs={"axis": (0, 2)}),
            Case(((3, 4), (3,)), kwargs={"axis": 0, "keepdims": True}),
        ),
        low=0.5,
        factor=4,
        optional=(1,),
    ),
    *(
        unary(
            name,
            reference,
            cases=over_axes(Case(((0, 3),), kwargs={"axis": 1}), Case(((70000,),))),
            dtypes=ALL,
            distinct=True,
            twice=False,
        )
        for name, reference in (("max", np.max), ("min", np.min))
    ),
    *(
        unary(
            name,
            lambda x, axis=None, reference=reference: reference(x, axis=axis),
            cases=(
                *(Case(((2, 3, 4),), kwargs={"axis": a}) for a in (None, 0, 1, -1)),
                Case(((),)),
                Case(((0, 3),), kwargs={"axis": 1}),
                Case(((3, 2000),), kwargs={"axis": 1}),
            ),
            dtypes=ALL,
            result=lambda d: np.dtype(np.int32),
            slopes=False,
        )
        for name, reference in (("argmax", np.argmax), ("argmin", np.argmin))
    ),
    unary(
        "logsumexp",
        lambda x, axis=None: special.logsumexp(x, axis=axis),
        cases=tuple(c for c in over_axes(keepdims=False) if c.kwargs != {"axis": ()}),
        low=-5,
        high=5,
        factor=4,
    ),
]

MOVES = [
    unary(
        "reshape",
        np.reshape,
        cases=tuple(
            Case((s,), args=(t,))
            for s, t in (
                ((3, 4), (2, 6)),
                ((3, 4), (-1,)),
                ((), (1, 1)),
                ((0, 3), (3, 0)),
                ((4,), 4),
                ((2, 3, 4), (6, -1)),
            )
        ),
    ),
    unary("flatten", np.ravel, cases=over(((3, 4), (), (0, 2), (2, 3, 2)))),
    unary(
        "expand_dims",
        np.expand_dims,
        cases=tuple(Case(((3, 4),), args=(a,)) for a in (0, 1, 2, -1)),
    ),
    unary(
        "squeeze",
        np.squeeze,
        cases=(
            *over(((1, 3, 1), (2,), ())),
            *(Case(((1, 3, 1),), args=(a,)) for a in (0, -1, (0, 2), ())),
        ),
    ),
    unary(
        "transpose",
        np.transpose,
        cases=(
            *over(((3, 4), (), (2, 3, 4))),
            Case(((2, 3, 4),), args=((2, 0, 1),)),
            Case(((2, 0),), args=((-1, 0),)),
        ),
    ),
    unary(
        "swapaxes",
        np.swapaxes,
        cases=tuple(Case(((2, 3, 4),), args=a) for a in ((0, 2), (-1, 1), (1, 1))),
    ),
    unary(
        "moveaxis",
        np.moveaxis,
        cases=tuple(
            Case(((2, 3, 4),), args=a) for a in ((0, -1), (2, 0), ((0, 1), (-1, 0)), ((), ()))
        ),
    ),
    unary(
        "rollaxis",
        np.rollaxis,
        cases=tuple(Case(((2, 3, 4),), args=a) for a in ((2,), (0, 3), (1, 1), (-1, 1))),
    ),
    Row(
        "concat",
        lambda *xs, axis=1: F.concat(xs, axis),
        lambda *xs, axis=1: np.concatenate(xs, axis),
        (
            Case(((3, 2), (3, 4))),
            Case(((2, 3), (1, 3), (0, 3)), kwargs={"axis": 0}),
            Case(((2, 1, 3), (2, 2, 3)), kwargs={"axis": -2}),
            Case(((3, 2),)),
        ),
    ),
    Row(
        "stack",
        lambda *xs, axis=0: F.stack(xs, axis),
        lambda *xs, axis=0: np.stack(xs, axis),
        (
            Case(((3, 2), (3, 2))),
            Case(((), (), ())),
            Case(((2, 3),) * 3, kwargs={"axis": 1}),
            Case(((2, 0), (2, 0)), kwargs={"axis": -1}),
        ),
    ),
    unary(
        "split_axis",
        lambda x, parts, axis: np.split(x, parts, axis),
        cases=tuple(
            Case((s,), args=a)
            for s, a in (
                ((4, 3), (2, 0)),
                ((4, 3), ((1, 1), -1)),
                ((4, 3), ([1, 5], 0)),
                ((4, 3), ([3, 1], 0)),
                ((0, 4), (2, 1)),
            )
        ),
    ),
    unary(
        "separate",
        lambda x, axis=0: [np.take(x, i, axis) for i in range(x.shape[axis])],
        cases=(Case(((3, 4),)), Case(((2, 3, 4),), args=(1,)), Case(((3, 4),), args=(-1,))),
    ),
    unary(
        "flip",
        np.flip,
        cases=tuple(Case(((2, 3, 4),), args=a) for a in ((), (0,), (-1,), ((0, 2),))),
    ),
    unary(
        "repeat",
        np.repeat,
        cases=tuple(
            Case(((2, 3),), args=a)
            for a in ((2,), (3, 0), (2, -1), (0, 1), ([1, 0, 3], 1), ([1, 2, 0, 4, 1, 1],))
        ),
    ),
    unary("get_item", lambda x, slices: x[slices], cases=INDICES),
    Row(
        "select_item",
        F.select_item,
        lambda x, t: x[np.arange(len(x)), t],
        (Case(((3, 4), (3,))), Case(((0, 4), (0,)))),
        fixed={1: integers(-4, 4)},
    ),
]
MOVES = [dataclasses.replace(row, dtypes=ALL, twice=False) for row in MOVES]


def put_item(g: np.ndarray, shape: Any, slices: Any) -> np.ndarray:
    out = np.zeros(shape, g.dtype)
    np.add.at(out, slices, g)
    return out


PUTS = [
    Row(
        "put_item",
        _core.put_item,
        put_item,
        tuple(
            Case((np.zeros(c.shapes[0])[c.args[0]].shape,), args=(c.shapes[0], c.args[0]))
            for c in INDICES
        ),
        twice=False,
        factor=20,  # one element is the sum of forty, rounded each time
    )
]


def matmul(a: np.ndarray, b: np.ndarray, transa: bool = False, transb: bool = False) -> np.ndarray:
    return np.matmul(a.swapaxes(-1, -2) if transa else a, b.swapaxes(-1, -2) if transb else b)


def linear(x: np.ndarray, w: np.ndarray, b: Any = None) -> np.ndarray:
    y = x.reshape(len(x), w.shape[1]) @ w.T
    return y if b is None else y + b


def chosen(x: np.ndarray, t: np.ndarray, function: Any) -> tuple[np.ndarray, np.ndarray]:
    """What `function` makes of x where class t is, and which labels count."""
    kept = t != -1
    picked = np.take_along_axis(function(x), np.where(kept, t, 0)[:, None], axis=1)[:, 0]
    return picked, kept


def softmax_cross_entropy(
    x: np.ndarray, t: np.ndarray, normalize: bool = True, reduce: str = "mean"
) -> np.ndarray:
    picked, kept = chosen(x, t, lambda x: special.log_softmax(x, axis=1))
    losses = np.where(kept, -picked, 0).astype(x.dtype)
    if reduce == "no":
        return losses
    return losses.sum() / x.dtype.type(max(1, kept.sum() if normalize else len(x)))


def sigmoid_cross_entropy(
    x: np.ndarray, t: np.ndarray, normalize: bool = True, reduce: str = "mean"
) -> np.ndarray:
    kept = t != -1
    losses = np.where(kept, np.logaddexp(0, x) - x * t, 0).astype(x.dtype)
    if reduce == "no":
        return losses
    return losses.sum() / x.dtype.type(max(1, kept.sum() if normalize else len(x)))


def accuracy(y: np.ndarray, t: np.ndarray, ignore_label: Any = None) -> np.ndarray:
    kept = t != ignore_label if ignore_label is not None else np.full(t.shape, True)
    right = (np.argmax(y, axis=1) == t)[kept]
    return right.mean(dtype=y.dtype) if right.size else np.zeros((), y.dtype)


LABELS = {1: integers(-1, 4)}

LEARNING = [
    binary(
        "matmul",
        matmul,
        call=F.matmul if hasattr(F, "matmul") else _core.matmul,
        cases=(
            *pairs((((3, 4), (4, 5)), ((4,), (4,)), ((2, 3, 4), (4,)), ((0, 4), (4, 2)))),
            *pairs((((2, 1, 3, 4), (5, 4, 2)), ((3, 0), (0, 2)), ((40, 50), (50, 60)))),
            Case(((4, 3), (4, 5)), kwargs={"transa": True}),
            Case(((2, 3, 4), (2, 5, 4)), kwargs={"transb": True}),
        ),
        factor=20,
    ),
    Row(
        "linear",
        F.linear,
        linear,
        (Case(((3, 4), (5, 4), (5,))), Case(((3, 4), (5, 4))), Case(((2, 3, 2), (5, 6), (5,)))),
        factor=20,
        optional=(2,),
    ),
    *(
        unary(
            name,
            lambda x, axis=1, reference=reference: reference(x, axis=axis),
            cases=(
                *over(((3, 4), (2, 3, 4), (0, 3), (4, 70))),
                Case(((2, 3),), kwargs={"axis": 0}),
            ),
            factor=8,
        )
        for name, reference in (("softmax", special.softmax), ("log_softmax", special.log_softmax))
    ),
    binary(
        "mean_squared_error",
        lambda a, b: np.mean(np.square(a - b)),
        call=F.mean_squared_error,
        cases=pairs((((3, 4), (3, 4)), ((), ()), ((5000,), (5000,)))),
        factor=8,
    ),
    *(
        Row(
            name,
            getattr(F, name),
            reference,
            tuple(
                Case(shapes, kwargs=keys)
                for keys in ({}, {"reduce": "no"}, {"normalize": False})
                for shapes in (((5, 4), (5,)), ((2, 4, 3), (2, 3)))
            )
            if name == "softmax_cross_entropy"
            else tuple(
                Case(((5, 4), (5, 4)), kwargs=keys)
                for keys in ({}, {"reduce": "no"}, {"normalize": False})
            ),
            fixed=LABELS if name == "softmax_cross_entropy" else {1: integers(-1, 2)},
            factor=8,
        )
        for name, reference in (
            ("softmax_cross_entropy", softmax_cross_entropy),
            ("sigmoid_cross_entropy", sigmoid_cross_entropy),
        )
    ),
    Row(
        "accuracy",
        F.accuracy,
        accuracy,
        (Case(((9, 4), (9,))), Case(((9, 4), (9,)), kwargs={"ignore_label": -1})),
        fixed=LABELS,
        slopes=False,
    ),
]

ROWS = [*ELEMENTWISE, *REDUCTIONS, *MOVES, *PUTS, *LEARNING]

#: What takes variables and is no op, or draws random numbers; tested elsewhere.
NO_OPS = {
    *("dropout", "dropout_mask", "as_variable"),
    *("apply_node", "backward", "grad", "live_variable_count", "wide_copy"),
}
