"""Linear: mixed dtypes, and errors."""

import numpy as np
import pytest

import chainrule.functions as F
from chainrule import Variable


def test_result_has_the_dtype_of_x_and_gradients_those_of_the_inputs():
    x = Variable(np.ones((3, 4), np.float16))
    W = Variable(np.ones((5, 4), np.float32))
    b = Variable(np.ones(5, np.float64))
    y = F.linear(x, W, b)
    assert y.dtype == np.float16
    y.grad = np.ones((3, 5), np.float16)
    y.backward()
    assert [v.grad.dtype for v in (x, W, b)] == [v.dtype for v in (x, W, b)]


def test_large_layer_against_numpy():
    rng = np.random.default_rng(0)
    for dtype, rtol in ((np.float32, 2e-5), (np.float64, 1e-12)):
        x, W, b, gy = (
            rng.standard_normal(s).astype(dtype)
            for s in ((128, 300), (200, 300), (200,), (128, 200))
        )
        vx, vW, vb = map(Variable, (x, W, b))
        y = F.linear(vx, vW, vb)
        y.grad = gy
        y.backward()
        for got, want in (
            (y.array, x @ W.T + b),
            (vx.grad, gy @ W),
            (vW.grad, gy.T @ x),
            (vb.grad, gy.sum(axis=0)),
        ):
            assert got.dtype == dtype
            np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * np.abs(want).max())


def test_bias_of_any_layout():
    x, W = np.ones((40, 30), np.float32), np.zeros((20, 30), np.float32)
    bias = np.arange(40, dtype=np.float32)
    for b in (bias[::2], bias[20:][::-1], np.broadcast_to(np.float32(3), 20)):
        np.testing.assert_array_equal(F.linear(x, W, b).array, np.tile(b, (40, 1)))


X, W, B = (np.zeros(s, np.float32) for s in ((3, 4), (5, 4), (5,)))


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        ((X, W.T), ValueError, r"\[linear\] .*x \(3, 4\) and W \(4, 5\)"),
        ((X, W, np.zeros(4, np.float32)), ValueError, r"\[linear\] bias.*\(4,\).*\(5,\)"),
        ((X, W, np.zeros((5, 1), np.float32)), ValueError, r"\[linear\] bias.*\(5, 1\)"),
        ((X[0], W), ValueError, r"\[linear\] x: got shape \(4,\)"),
        ((X, W[0]), ValueError, r"\[linear\] .*W \(4,\)"),
        ((X.astype(int), W), TypeError, r"\[linear\] got x int64"),
        ((X, W, B.astype(int)), TypeError, r"\[linear\] .*b int64"),
        ((X, W, B, 0), ValueError, r"\[linear\] n_batch_axes: got 0"),
        ((X, W, B, 3), ValueError, r"\[linear\] n_batch_axes: got 3.*1 to 2"),
        ((X, None), TypeError, r"\[linear\] got None"),
        ((X, W, Variable()), TypeError, r"\[linear\] got a variable without data"),
    ],
)
def test_errors(args, error, message):
    with pytest.raises(error, match=message):
        F.linear(*args)
