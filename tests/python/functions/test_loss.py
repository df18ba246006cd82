"""Losses: against PyTorch, bad labels, extreme scores, and what Chainer's arguments mean."""

import numpy as np
import pytest

import chainrule
import chainrule.functions as F
from chainrule import Variable

LABEL_DTYPES = (np.int8, np.uint8, np.int16, np.int32, np.int64)


def scores(*shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def gradient(loss, x):
    loss.backward()
    return x.grad


@pytest.mark.parametrize("shape", [(64, 10), (5, 1000), (3, 7, 9, 5), (2, 3, 150)])
@pytest.mark.parametrize("reduce", ["mean", "no"])
@pytest.mark.parametrize("weighted", [False, True])
def test_softmax_cross_entropy_as_pytorch(shape, reduce, weighted):
    torch = pytest.importorskip("torch", reason="PyTorch is the second witness")
    x = scores(*shape)
    t = np.random.default_rng(1).integers(-1, shape[1], (shape[0], *shape[2:]))
    weight = np.linspace(0.5, 2, shape[1]) if weighted else None
    vx = Variable(x)
    y = F.softmax_cross_entropy(vx, t, class_weight=weight, reduce=reduce)
    tx = torch.tensor(x, requires_grad=True)
    ty = torch.nn.functional.cross_entropy(
        tx,
        torch.tensor(t),
        None if weight is None else torch.tensor(weight),
        ignore_index=-1,
        reduction="none",
    )
    if reduce == "mean":  # PyTorch would divide by the weights
        ty = ty.sum() / max((t != -1).sum(), 1)
    np.testing.assert_allclose(y.array, ty.detach().numpy(), rtol=1e-12, atol=1e-14)
    gy = scores(*y.shape, seed=2)
    y.grad = gy if gy.shape else np.array(gy)
    y.backward()
    ty.backward(torch.tensor(gy))
    np.testing.assert_allclose(vx.grad, tx.grad.numpy(), rtol=1e-11, atol=1e-15)


def test_sigmoid_cross_entropy_and_squared_error_as_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is the second witness")
    x = scores(30, 50) * 10
    t = np.random.default_rng(1).integers(0, 2, x.shape)
    for ours, theirs in (
        (lambda v: F.sigmoid_cross_entropy(v, t), "binary_cross_entropy_with_logits"),
        (lambda v: F.mean_squared_error(v, t.astype(float)), "mse_loss"),
    ):
        vx, tx = Variable(x), torch.tensor(x, requires_grad=True)
        y = ours(vx)
        ty = getattr(torch.nn.functional, theirs)(tx, torch.tensor(t.astype(float)))
        np.testing.assert_allclose(y.array, ty.item(), rtol=1e-13)
        ty.backward()
        np.testing.assert_allclose(gradient(y, vx), tx.grad.numpy(), rtol=1e-12, atol=1e-18)


@pytest.mark.parametrize("dtype", LABEL_DTYPES)
def test_labels_of_every_integer_dtype_and_layout(dtype):
    x = scores(6, 4)
    t = np.array([0, 1, 2, 3, 1, 2], dtype)
    want = F.softmax_cross_entropy(x, t.astype(np.int64)).array
    spread = np.repeat(t, 3)[::3]
    for labels in (t, spread, Variable(t), t[::-1][::-1]):
        np.testing.assert_array_equal(F.softmax_cross_entropy(x, labels).array, want)
    binary = (t % 2).astype(dtype)
    np.testing.assert_array_equal(
        F.sigmoid_cross_entropy(x[:, 0], binary).array,
        F.sigmoid_cross_entropy(x[:, 0], binary.astype(np.int64)).array,
    )


@pytest.mark.parametrize(
    ("label", "dtype"), [(4, np.int32), (-2, np.int8), (255, np.uint8), (2**40, np.int64)]
)
def test_a_label_out_of_range_is_named(label, dtype):
    x = scores(2, 4, 3)
    t = np.zeros((2, 3), dtype)
    t[1, 2] = t[1, 1] = label
    expected = rf"\[softmax_cross_entropy\].*got {label} at index \(1, 1\).*0 <= label < 4"
    with pytest.raises(ValueError, match=expected):
        F.softmax_cross_entropy(x, t)
    with pytest.raises(ValueError, match=rf"\[sigmoid_cross_entropy\].*got {label} at index \(1,"):
        F.sigmoid_cross_entropy(x[:, 0], t)
    if label != -2:  # the label to ignore may be anything
        assert np.isfinite(F.softmax_cross_entropy(x, t, ignore_label=label).array)


def test_labels_are_read_when_the_loss_is_computed():
    x, t = Variable(scores(3, 4)), np.array([0, 1, 2])
    want = gradient(F.softmax_cross_entropy(x, t), x).copy()
    x.cleargrad()
    loss = F.softmax_cross_entropy(x, t)
    t[...] = 10**6
    np.testing.assert_array_equal(gradient(loss, x), want)


def test_everything_ignored_gives_zero():
    x = Variable(np.full((3, 4), np.nan))
    for loss in (
        F.softmax_cross_entropy(x, np.full(3, -1)),
        F.sigmoid_cross_entropy(x, np.full((3, 4), -1)),
    ):
        assert loss.array == 0
        x.cleargrad()
        np.testing.assert_array_equal(gradient(loss, x), np.zeros((3, 4)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_scores(dtype):
    x = Variable(np.array([[1e4, -1e4], [0, 1e4], [-1e4, -1e4]], dtype))
    y = F.softmax_cross_entropy(x, np.array([1, 1, 0]), reduce="no")
    np.testing.assert_allclose(y.array, [2e4, 0, np.log(2)], rtol=1e-6)
    y.grad = np.ones(3, dtype)
    y.backward()
    np.testing.assert_allclose(x.grad, [[1, -1], [0, 0], [-0.5, 0.5]])
    s = Variable(np.array([1e4, -1e4, 1e4, -1e4], dtype))
    y = F.sigmoid_cross_entropy(s, np.array([1, 0, 0, 1]), reduce="no")
    np.testing.assert_array_equal(y.array, [0, 0, 1e4, 1e4])
    y.grad = np.ones(4, dtype)
    y.backward()
    np.testing.assert_array_equal(s.grad, [0, 0, 1, -1])


def test_large_equal_scores_lose_no_digits():
    # Relative to the greatest score the others are exact, whatever its size.
    x = scores(8, 10, dtype=np.float32)
    t = np.arange(8)
    near, far = Variable(x), Variable(np.float32(4096) + x)
    np.testing.assert_allclose(
        gradient(F.softmax_cross_entropy(far, t), far),
        gradient(F.softmax_cross_entropy(near, t), near),
        atol=5e-4,
    )
    one = Variable(np.full((2, 3), 1e7, np.float32))
    loss = F.softmax_cross_entropy(one, np.array([0, 1]))
    np.testing.assert_allclose(loss.array, np.log(3), rtol=1e-7)


def test_soft_targets_that_do_not_sum_to_one_have_their_own_gradient():
    x, t = scores(3, 4), np.abs(scores(3, 4, seed=1))
    v = Variable(x)
    loss = F.softmax_cross_entropy(v, t)
    got = gradient(loss, v)
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(got, (p * t.sum(axis=1, keepdims=True) - t) / 3, rtol=1e-12)


def test_third_derivatives():
    x = Variable(scores(3, 4))
    t = np.array([0, 3, -1])
    y = F.softmax_cross_entropy(x, t)
    for _ in range(3):
        (y,) = chainrule.grad([F.sum(y * y)], [x], enable_double_backprop=True)
    assert np.isfinite(y.array).all()
    assert np.abs(y.array[:2]).max() > 0
    np.testing.assert_array_equal(y.array[2], 0)


def test_losses_do_not_depend_on_the_number_of_threads():
    x, t = scores(5000, 7, dtype=np.float32), np.arange(5000) % 7
    wide, binary = scores(300, 1000, dtype=np.float32), np.ones((300, 1000), np.int8)
    before = chainrule._core.num_threads()
    results = []
    try:
        for threads in (1, 2, 5):
            chainrule._core.set_num_threads(threads)
            found = []
            for f in (
                lambda v: F.softmax_cross_entropy(v, t),
                lambda v: F.softmax_cross_entropy(v, np.zeros(300, int)),
                lambda v: F.sigmoid_cross_entropy(v, binary),
                lambda v: F.mean_squared_error(v, wide + 1),
            ):
                v = Variable(x if not found else wide)
                loss = f(v)
                found += [loss.array, gradient(loss, v)]
            results.append(found)
    finally:
        chainrule._core.set_num_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


X, T = np.zeros((3, 4), np.float32), np.zeros(3, np.int32)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: F.softmax_cross_entropy(X, T[:2]), ValueError, r"labels.*\(2,\).*\(3,\)"),
        (lambda: F.softmax_cross_entropy(X, X[:2]), ValueError, r"soft targets.*\(2, 4\)"),
        (lambda: F.softmax_cross_entropy(X[0], T), ValueError, r"scores.*\(4,\)"),
        (lambda: F.softmax_cross_entropy(X.astype(int), T), TypeError, "scores: got int64"),
        (lambda: F.softmax_cross_entropy(X, T.astype(bool)), TypeError, "labels: got bool"),
        (lambda: F.softmax_cross_entropy(X, T, reduce="sum"), ValueError, "reduce: got 'sum'"),
        (
            lambda: F.softmax_cross_entropy(X, T, class_weight=np.ones(3)),
            ValueError,
            r"class_weight: got float64 \(3,\).*\(4,\)",
        ),
        (
            lambda: F.softmax_cross_entropy(X, T, class_weight=np.ones(4, int)),
            ValueError,
            "class_weight: got int64",
        ),
        (
            lambda: F.softmax_cross_entropy(X, X, soft_target_loss="l2"),
            ValueError,
            "soft_target_loss: got 'l2'",
        ),
        (lambda: F.softmax_cross_entropy(np.zeros((2, 0)), T[:2]), ValueError, "label < 0"),
        (lambda: F.sigmoid_cross_entropy(X, T), ValueError, r"labels.*\(3,\).*\(3, 4\)"),
        (lambda: F.sigmoid_cross_entropy(X, X), TypeError, "labels: got float32"),
        (lambda: F.sigmoid_cross_entropy(X, X, reduce="x"), ValueError, "reduce: got 'x'"),
        (lambda: F.mean_squared_error(X, X[:2]), ValueError, r"\(3, 4\) and \(2, 4\)"),
        (lambda: F.mean_squared_error(X, X.astype(np.float64)), TypeError, "float32 and float64"),
        (lambda: F.mean_squared_error(T, T), TypeError, "int32"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=r"^\[\w+\] .*" + message):
        call()
