"""Every op of the table: against NumPy, against finite differences, on every layout and dtype."""

import inspect
import itertools
import re
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule
import chainrule.functions as F
import op_table
import op_table_nn
from chainrule import Variable, _core, gradient_check
from op_table import ALL, HALVES, RTOL, Case, Row

ROWS = [*op_table.ROWS, *op_table_nn.ROWS]
CASES = [pytest.param(row, case, id=f"{row.name}-{case}") for row in ROWS for case in row.cases]
SMOOTH = [param for param in CASES if param.values[0].slopes]


def rng_of(*key: object) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr([str(k) for k in key]).encode()))


def as_tuple(values):
    return tuple(values) if isinstance(values, (tuple, list)) else (values,)


def wide(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float32) if x.dtype in HALVES else x


def call(row: Row, case: Case, inputs):
    return as_tuple(row.call(*inputs, *case.args, **case.kwargs))


def reference(row: Row, case: Case, arrays):
    with np.errstate(all="ignore"):
        outputs = row.reference(*map(wide, arrays), *case.args, **case.kwargs)
    return [np.asarray(y) for y in as_tuple(outputs)]


def result_dtype(row: Row, dtype: np.dtype, expected: np.ndarray):
    if row.result is not None:
        return row.result(dtype)
    return dtype if expected.dtype.kind == "f" and dtype in HALVES else expected.dtype


def assert_close(got: np.ndarray, expected: np.ndarray, dtype: np.dtype, factor: float, msg=""):
    assert got.shape == expected.shape, msg
    tolerance = RTOL.get(str(dtype), 0) * factor
    np.testing.assert_allclose(
        got.astype(np.float64),
        expected.astype(np.float64),
        rtol=tolerance,
        atol=tolerance,
        err_msg=msg,
    )


def layouts(x: np.ndarray):
    """The same values in other layouts."""
    yield "fortran", np.array(x, order="F")
    backwards = (..., *(slice(None, None, -1) for _ in x.shape))
    yield "backwards", x[backwards].copy()[backwards]
    spaced = np.zeros([2 * d + 1 for d in x.shape], x.dtype)
    view = spaced[(..., *(slice(1, None, 2) for _ in x.shape))]
    view[...] = x
    yield "spaced", view
    offset = np.zeros(x.size + 3, x.dtype)[3:].reshape(x.shape)
    offset[...] = x
    offset.flags.writeable = False
    yield "offset, read-only", offset


@pytest.mark.parametrize(("row", "case"), CASES)
def test_forward_is_that_of_numpy(row, case):
    for dtype in row.dtypes:
        arrays = row.draw(rng_of(row.name, case, dtype), case, dtype)
        expected = reference(row, case, arrays)
        outputs = call(row, case, [Variable(a) for a in arrays])
        assert len(outputs) == len(expected)
        for y, want in zip(outputs, expected, strict=True):
            result = result_dtype(row, dtype, want)
            if result is not None:
                assert y.dtype == result, str(dtype)
            assert_close(y.array, want, y.dtype, row.factor, str(dtype))


@pytest.mark.parametrize(("row", "case"), CASES)
def test_layouts_and_plain_arrays_give_the_same(row, case):
    dtype = np.dtype(np.float32) if np.dtype(np.float32) in row.dtypes else row.dtypes[-1]
    arrays = row.draw(rng_of(row.name, case), case, dtype)
    expected = [y.array for y in call(row, case, [Variable(a) for a in arrays])]
    for variants in zip(*map(list, map(layouts, arrays)), strict=True):
        inputs = [view for _, view in variants]
        kept = [x.copy() for x in inputs]
        for y, want in zip(call(row, case, inputs), expected, strict=True):
            assert_close(y.array, want, dtype, 4 * row.factor, variants[0][0])
        for x, before in zip(inputs, kept, strict=True):
            np.testing.assert_array_equal(x, before)


def too_coarse(ys) -> bool:
    """Whether results are rounded to less than finite differences need."""
    return any(y.dtype.kind == "f" and y.dtype != np.float64 for y in ys)


@pytest.mark.parametrize(("row", "case"), SMOOTH)
def test_gradients(row, case):
    rng = rng_of(row.name, case)
    arrays = row.draw(rng, case, np.dtype(np.float64))
    ys = call(row, case, arrays)
    gys = [rng.uniform(-1, 1, y.shape) for y in ys]
    if not gys or sum(a.size for a in arrays) > 5000 or too_coarse(ys):
        return

    def function(*xs):
        return call(row, case, xs)

    gradient_check.check_backward(function, arrays, gys, eps=1e-4, atol=1e-7, rtol=1e-6)
    ggxs = [rng.uniform(-1, 1, a.shape) if a.dtype.kind == "f" else None for a in arrays]
    gradient_check.check_double_backward(
        function, arrays, gys, ggxs, eps=1e-4, atol=1e-7, rtol=1e-6
    )


@pytest.mark.parametrize(("row", "case"), SMOOTH)
def test_every_single_element_has_its_gradient(row, case):
    rng = rng_of(row.name, case)
    arrays = row.draw(rng, case, np.dtype(np.float64))
    if sum(a.size for a in arrays) > 100:
        return
    ys = call(row, case, arrays)
    if too_coarse(ys):
        return
    gys = [rng.uniform(-1, 1, y.shape) for y in ys]
    floats = [a for a in arrays if a.dtype.kind == "f"]
    numerical = gradient_check.numerical_grad(
        lambda: [y.array for y in call(row, case, arrays)], floats, gys, eps=1e-4
    )
    xs = [Variable(a) for a in arrays]
    ys = call(row, case, xs)
    gxs = chainrule.grad(ys, [x for x in xs if x.dtype.kind == "f"], [Variable(g) for g in gys])
    for gx, want in zip(gxs, numerical, strict=True):
        got = np.zeros(want.shape) if gx is None else gx.array
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("row", "case"), SMOOTH)
def test_gradients_in_every_floating_dtype(row, case):
    for dtype in op_table.FLOATS:
        if dtype not in row.dtypes:
            continue
        rng = rng_of(row.name, case)
        arrays = row.draw(rng, case, dtype)
        exact = [a.astype(np.float64) if a.dtype == dtype else a for a in arrays]
        found = []
        for inputs in (arrays, exact):
            xs = [Variable(a) for a in inputs]
            ys = [y for y in call(row, case, xs) if y.dtype.kind != "i"]
            if not ys or not all(y.dtype in op_table.FLOATS for y in ys):
                continue
            gys = [Variable(np.cos(np.arange(y.size)).reshape(y.shape).astype(y.dtype)) for y in ys]
            floats = [x for x in xs if x.dtype in op_table.FLOATS]
            found.append(chainrule.grad(ys, floats, gys))
        if len(found) != 2:
            continue
        for gx, want in zip(*found, strict=True):
            if gx is not None:
                assert gx.dtype == dtype
                scale = max(1.0, np.abs(want.array).max(initial=0))
                assert_close(gx.array / scale, want.array / scale, dtype, 8, str(dtype))


@pytest.mark.parametrize("row", [r for r in ROWS if r.slopes], ids=lambda r: r.name)
def test_without_recording_no_node_is_made(row):
    arrays = row.draw(rng_of(row.name), row.cases[0], row.dtypes[-1])
    with chainrule.no_backprop_mode():
        for y in call(row, row.cases[0], [Variable(a) for a in arrays]):
            assert y.creator is None


def arguments(row: Row):
    """Ways to call a row's op with one input that holds no data."""
    case = row.cases[0]
    arrays = row.draw(rng_of(row.name), case, row.dtypes[-1])
    for i in range(len(arrays)):
        for nothing in (None, Variable()):
            if nothing is None and i in row.optional:
                continue
            yield [*arrays[:i], nothing, *arrays[i + 1 :]], case


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.name)
def test_inputs_without_data_are_refused(row):
    for inputs, case in arguments(row):
        with pytest.raises(TypeError, match=r"^\["):
            row.call(*inputs, *case.args, **case.kwargs)


def ops_of_core() -> set[str]:
    """What `_core` offers that takes a variable."""
    found = set()
    for name, member in inspect.getmembers(_core, inspect.isbuiltin):
        text = member.__doc__ or ""
        if "Variable" in text and not name.startswith("_"):
            found.add(name)
    return found


def test_every_op_has_a_row():
    rows = {row.name for row in ROWS} | op_table.NO_OPS
    assert not ops_of_core() - rows, "ops without a row in op_table.py"


def test_every_function_has_a_row():
    rows = {row.name for row in ROWS} | op_table.NO_OPS
    functions = {n for n, f in inspect.getmembers(F) if callable(f) and not n.startswith("_")}
    assert not functions - rows, "functions without a row in op_table.py"


def test_every_row_is_an_op():
    for row in ROWS:
        assert hasattr(_core, row.name) or hasattr(F, row.name), row.name


# Fuzzing: any dtype, shape and stride.

SIDES = st.integers(0, 5)
SHAPES = st.lists(SIDES, max_size=4).map(tuple)


@st.composite
def strided(draw, shape=None, dtypes=ALL):
    """An array of some dtype whose memory is laid out in any way."""
    shape = draw(SHAPES) if shape is None else shape
    dtype = draw(st.sampled_from(dtypes))
    order = draw(st.permutations(range(len(shape))))
    steps = [draw(st.sampled_from((1, 1, 2, 3, -1, -2))) for _ in shape]
    base = np.zeros([shape[o] * abs(steps[o]) for o in order], dtype)
    back = np.argsort(order) if shape else ()
    x = base.transpose(back)[(..., *(slice(None, None, s) for s in steps))]
    values = np.random.default_rng(draw(st.integers(0, 2**32))).integers(-4, 5, shape)
    x[...] = np.abs(values) if dtype.kind in "ub" else values
    if draw(st.booleans()) and shape:  # a dimension that repeats
        axis = draw(st.integers(0, len(shape) - 1))
        if shape[axis]:
            x = np.broadcast_to(x.take([0], axis), shape)
    assert x.shape == tuple(shape)
    return x


def same_kind(dtype: np.dtype, expected: np.ndarray) -> np.dtype:
    return dtype if dtype in HALVES else expected.dtype


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_fuzz_binary(data):
    shape = data.draw(SHAPES)
    cut = data.draw(st.integers(0, len(shape)))
    ones = [1 if data.draw(st.booleans()) else d for d in shape[cut:]]
    a, b = data.draw(strided(shape)), data.draw(strided(tuple(ones)))
    if data.draw(st.booleans()):
        a, b = b, a
    for name in ("add", "multiply", "maximum", "less", "not_equal"):
        expected = getattr(np, name)(wide(a), wide(b))
        y = getattr(_core, name)(a, b)
        np.testing.assert_array_equal(y.array.astype(np.float64), expected.astype(np.float64))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_fuzz_reductions(data):
    x = data.draw(strided())
    axes = data.draw(st.sets(st.integers(0, max(0, x.ndim - 1)), max_size=x.ndim))
    axis = data.draw(st.sampled_from((None, tuple(axes))))
    keepdims = data.draw(st.booleans())
    for name, result in (("sum", op_table.int64_sum(x.dtype)), ("max", x.dtype), ("min", x.dtype)):
        dtype = {"dtype": result} if name == "sum" and x.dtype not in HALVES else {}
        try:
            expected = getattr(np, name)(wide(x), axis=axis, keepdims=keepdims, **dtype)
        except ValueError:
            with pytest.raises(ValueError, match=re.escape(f"[{name}]")):
                getattr(_core, name)(x, axis, keepdims)
            continue
        y = getattr(_core, name)(x, axis, keepdims)
        if axis != ():
            assert y.dtype == result
        np.testing.assert_array_equal(y.array.astype(np.float64), np.asarray(expected, np.float64))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_fuzz_get_item(data):
    x = data.draw(strided())
    index = []
    for d in x.shape[: data.draw(st.integers(0, x.ndim))]:
        bound = st.none() | st.integers(-d - 2, d + 2)
        step = st.none() | st.sampled_from((1, 2, 3, -1, -2))
        slices = st.builds(slice, bound, bound, step)
        choices = [slices, st.just(None), st.just(np.zeros(d, bool))]
        if d:
            places = st.integers(-d, d - 1)
            choices += [places, st.lists(places, min_size=2, max_size=2)]
        index.append(data.draw(st.one_of(choices)))
    if data.draw(st.booleans()):
        index.insert(data.draw(st.integers(0, len(index))), Ellipsis)
    index = tuple(index)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            expected = x[index]
    except IndexError:
        with pytest.raises(IndexError, match=r"^\[get_item\]"):
            _core.get_item(x, index)
        return
    try:
        y = _core.get_item(x, index)
    except IndexError:
        # NumPy looks at no index where others make the result empty.
        assert expected.size == 0
        return
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y.array, expected)
    if x.dtype == np.float64:
        g = np.cos(np.arange(expected.size)).reshape(expected.shape)
        np.testing.assert_allclose(
            _core.put_item(g, x.shape, index).array, op_table.put_item(g, x.shape, index)
        )


@settings(max_examples=100, deadline=None)
@given(strided(), st.data())
def test_fuzz_reshape_and_transpose(x, data):
    order = data.draw(st.permutations(range(x.ndim)))
    y = F.transpose(x, order) if x.ndim else F.transpose(x)
    np.testing.assert_array_equal(y.array, x.transpose(order))
    merged = [
        int(np.prod(g))
        for g in np.split(
            np.array(y.shape, int), sorted(data.draw(st.lists(st.integers(0, x.ndim), max_size=2)))
        )
    ]
    np.testing.assert_array_equal(F.reshape(y, merged).array, y.array.reshape(merged))


def test_sums_of_many_floats_are_accurate():
    x = np.random.default_rng(0).random(10_000_000, np.float32)
    exact = x.sum(dtype=np.float64)
    assert abs(float(F.sum(x).array) - exact) <= np.spacing(np.float32(exact))
    # One after the other in float32, this would stop at 2^24.
    ones = np.ones((3_000_000, 7), np.float32)
    np.testing.assert_array_equal(F.sum(ones, axis=0).array, np.full(7, 3_000_000, np.float32))
    assert float(F.sum(np.broadcast_to(np.float32(1), (20_000_001,))).array) == 20_000_000
    half = np.full(100_000, 0.25, np.float16)
    assert float(F.mean(half).array) == 0.25


def test_bits_do_not_depend_on_the_number_of_threads():
    rng = np.random.default_rng(1)
    arrays = [rng.random(s, np.float32) for s in ((1_000_003,), (3000, 701), (200_000, 9))]
    before = _core.num_threads()
    results = []
    try:
        for threads in (1, 2, 3, 7):
            _core.set_num_threads(threads)
            results.append([F.sum(x, axis=a).array for x in arrays for a in (None, *range(x.ndim))])
    finally:
        _core.set_num_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_nan_and_infinity_in_reductions():
    inf, nan = np.inf, np.nan
    x = np.array([[1, nan, 3], [inf, 2, -inf], [-inf, -inf, -inf], [nan, 1, nan]])
    for n, row in itertools.product((1, 40), (x, x.astype(np.float32))):
        tiled = np.tile(row, n)
        for name in ("max", "min", "argmax", "argmin"):
            np.testing.assert_array_equal(
                getattr(F, name)(tiled, axis=1).array, getattr(np, name)(tiled, axis=1)
            )
    y = F.logsumexp(np.array([[-inf, -inf], [inf, 0.0], [1000.0, 1000.0], [nan, 0.0]]), axis=1)
    np.testing.assert_allclose(y.array, [-inf, inf, 1000 + np.log(2), nan])
    x = Variable(np.array([-inf, -inf]))
    F.logsumexp(x).backward()
    np.testing.assert_array_equal(x.grad, [0, 0])


def test_ties_of_max_all_get_the_gradient():
    x = Variable(np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]))
    y = F.max(x, axis=1)
    y.grad = np.array([10.0, 20.0])
    y.backward()
    np.testing.assert_array_equal(x.grad, [[0, 10, 10], [20, 20, 20]])


def test_views_share_memory():
    x = np.arange(24.0).reshape(2, 3, 4)
    for y in (
        F.get_item(x, (slice(None), 1)),
        F.transpose(x),
        F.reshape(x, (6, 4)),
        F.expand_dims(x, 0),
        F.broadcast_to(x, (5, 2, 3, 4)),
        *F.split_axis(x, 2, 0),
    ):
        assert np.shares_memory(x, y.array)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: F.get_item(np.zeros((3, 4)), (0, 4)), IndexError, "get_item.*4.*axis 1.*(3, 4)"),
        (lambda: F.get_item(np.zeros((3, 4)), (0, 0, 0)), IndexError, "get_item.*3.*(3, 4)"),
        (lambda: F.get_item(np.zeros((3, 4)), [0, -4]), IndexError, "get_item.*-4.*(3, 4)"),
        (lambda: F.get_item(np.zeros(3), [0.5]), IndexError, "get_item.*float64"),
        (lambda: F.get_item(np.zeros(3), "a"), IndexError, "get_item.*str"),
        (lambda: F.get_item(np.zeros(3), slice(None, None, 0)), ValueError, "get_item.*zero"),
        (lambda: F.get_item(np.zeros(3), slice("a", 2)), TypeError, "get_item.*str"),
        (lambda: F.get_item(np.zeros(3), np.zeros(4, bool)), IndexError, "mask.*(4,).*(3,)"),
        (lambda: F.get_item(np.zeros((3, 3)), ([0, 1], [0, 1, 2])), IndexError, "(2,).*(3,)"),
        (lambda: F.get_item(np.zeros(3), (..., ...)), IndexError, "ellipsis"),
        (lambda: F.get_item(np.zeros(3), 2**70), IndexError, "cannot fit"),
        (lambda: F.reshape(np.zeros((3, 4)), (5, -1)), ValueError, "reshape.*(3, 4).*(5, -1)"),
        (lambda: F.reshape(np.zeros((3, 4)), (-1, -1)), ValueError, "reshape.*-1"),
        (lambda: F.reshape(np.zeros(3), (-3, -1)), ValueError, "reshape.*negative"),
        (lambda: F.reshape(np.zeros(0), (2**40, 2**40)), ValueError, "reshape.*too many"),
        (lambda: F.transpose(np.zeros((3, 4)), (0, 0)), ValueError, "transpose.*twice"),
        (lambda: F.transpose(np.zeros((3, 4)), (0,)), ValueError, "transpose.*(0,).*(3, 4)"),
        (lambda: F.transpose(np.zeros((3, 4)), (0, 2)), IndexError, "transpose.*2"),
        (lambda: F.sum(np.zeros((3, 4)), axis=2), IndexError, "sum.*2"),
        (lambda: F.sum(np.zeros((3, 4)), axis=(0, -2)), ValueError, "sum.*twice"),
        (lambda: F.max(np.zeros((3, 0)), axis=1), ValueError, "max.*(3, 0)"),
        (lambda: F.argmin(np.zeros((3, 0)), axis=1), ValueError, "argmin.*(3, 0)"),
        (lambda: F.concat([], axis=0), ValueError, "concat.*no variables"),
        (lambda: F.concat([np.zeros(3), np.zeros((1, 3))], 0), ValueError, "concat.*(3,).*(1, 3)"),
        (lambda: F.concat([np.zeros((2, 3)), np.zeros((3, 3))], 1), ValueError, "concat.*(3, 3)"),
        (lambda: F.stack([np.zeros(3), np.zeros(4)]), ValueError, "stack.*(3,).*(4,)"),
        (lambda: F.split_axis(np.zeros((5, 2)), 2, 0), ValueError, "split_axis.*2.*5"),
        (lambda: F.split_axis(np.zeros((5, 2)), 0, 0), ValueError, "split_axis.*0.*5"),
        (lambda: F.split_axis(np.zeros(5), 5, 1), IndexError, "split_axis.*1"),
        (lambda: F.squeeze(np.zeros((1, 2)), 1), ValueError, "squeeze.*1.*(1, 2)"),
        (lambda: F.expand_dims(np.zeros(2), 3), IndexError, "expand_dims.*3"),
        (lambda: F.moveaxis(np.zeros((1, 2)), (0, 1), 0), ValueError, "moveaxis.*(0, 1)"),
        (lambda: F.broadcast_to(np.zeros(2), (3,)), ValueError, "broadcast_to.*(2,).*(3,)"),
        (lambda: F.broadcast(np.zeros(2), np.zeros(3)), ValueError, "broadcast.*(2,).*(3,)"),
        (lambda: F.sum_to(np.zeros((2, 3)), (3, 3)), ValueError, "sum_to.*(2, 3).*(3, 3)"),
        (lambda: F.sum_to(np.zeros(3), (1, 3)), ValueError, "sum_to.*(3,).*(1, 3)"),
        (lambda: F.repeat(np.zeros(3), [1, 2], 0), ValueError, "repeat.*2.*(3,)"),
        (lambda: F.repeat(np.zeros(3), -1), ValueError, "repeat.*-1"),
        (lambda: F.select_item(np.zeros((2, 3)), np.zeros(3, int)), ValueError, "(2, 3).*(3,)"),
        (lambda: F.select_item(np.zeros((2, 3)), np.zeros(2)), TypeError, "float64"),
        (lambda: F.select_item(np.zeros((2, 3)), np.array([0, 3])), IndexError, "3.*(2, 3)"),
        (lambda: F.average(np.zeros((2, 3)), 1, np.zeros(2)), ValueError, "average.*(2,).*(3,)"),
        (lambda: F.clip(np.zeros(3), 1, 0), ValueError, "clip.*x_min=1, x_max=0"),
        (lambda: F.add(np.zeros(3)), ValueError, "add.*1.*two"),
        (lambda: F.expand_dims(np.zeros((1,) * 8), 0), ValueError, "dimensions"),
    ],
)
def test_errors_name_what_came_and_what_was_wanted(call, error, message):
    pattern = message.replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(error, match=rf"{pattern}"):
        call()
