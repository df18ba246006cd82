"""Matrix products: layouts, threads, errors."""

import numpy as np
import pytest

import chainrule.functions as F
from chainrule import Variable, _core


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_matmul_of_views(dtype):
    rng = np.random.default_rng(0)
    store = rng.standard_normal((60, 80)).astype(dtype)
    views = [store, store[::-1], store[:, ::-2], store[::3], store.T[:60], store[5:50, 7:70]]
    views += [np.broadcast_to(store[0], (30, 80)), np.broadcast_to(store[:, :1], (60, 9))]
    rtol = 1e-5 if dtype == np.float32 else 1e-13
    for a in views:
        for b in views:
            n = min(a.shape[1], b.shape[0])
            want = a[:, :n].astype(np.float64) @ b[:n].astype(np.float64)
            got = F.matmul(a[:, :n], b[:n]).array
            np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * 100)


def test_matmul_does_not_depend_on_the_number_of_threads():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((130, 400)), rng.standard_normal((400, 210))
    before = _core.num_threads()
    results = []
    try:
        for threads in (1, 2, 5):
            _core.set_num_threads(threads)
            results.append(F.matmul(a, b).array)
    finally:
        _core.set_num_threads(before)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_matmul_of_two_dtypes():
    a, b = Variable(np.ones((2, 3), np.float32)), Variable(np.ones((3, 2), np.float64))
    y = F.matmul(a, b)
    assert y.dtype == np.float64
    y.grad = np.ones((2, 2))
    y.backward()
    assert a.grad.dtype == np.float32
    assert (a @ b).dtype == np.float64


@pytest.mark.parametrize(
    ("a", "b", "keys", "message"),
    [
        ((2, 3), (2, 3), {}, r"\[matmul\] .*\(2, 3\) and \(2, 3\)"),
        ((2, 3), (3, 2), {"transb": True}, r"\[matmul\] .*\(3, 2\) transposed"),
        ((3,), (4,), {}, r"\[matmul\] .*\(3,\) and \(4,\)"),
        ((2, 3, 4), (3, 4, 5), {}, r"\[matmul\] .*\(2,\) and \(3,\)"),
        ((), (3,), {}, r"\[matmul\] a number.*\(\) and \(3,\)"),
    ],
)
def test_matmul_errors(a, b, keys, message):
    with pytest.raises(ValueError, match=message):
        F.matmul(np.zeros(a), np.zeros(b), **keys)
