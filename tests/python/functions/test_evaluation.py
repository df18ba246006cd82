"""Accuracy: ties, NaN, shapes, errors."""

import numpy as np
import pytest

import chainrule.functions as F
from chainrule import Variable


def test_the_first_of_equal_scores_counts_and_nan_is_greatest():
    nan = np.nan
    y = np.array([[1, 3, 3], [nan, 2, nan], [5, nan, 9], [0, 0, 0]])
    for t, want in (([1, 0, 1, 0], 1.0), ([2, 2, 2, 2], 0.0)):
        assert F.accuracy(y, np.array(t)).array == want


def test_labels_that_no_class_has_are_wrong_but_no_error():
    y = np.eye(3)
    assert F.accuracy(y, np.array([0, 7, -5])).array == pytest.approx(1 / 3)
    assert F.accuracy(y, np.array([0, 7, -5]), ignore_label=7).array == 0.5


def test_result_has_the_dtype_of_the_scores_and_no_gradient():
    y = Variable(np.eye(3, dtype=np.float16))
    acc = F.accuracy(y, np.array([0, 1, 1], np.int8))
    assert acc.dtype == np.float16
    assert acc.shape == ()
    assert acc.creator is None


def test_no_labels_left_gives_zero():
    assert F.accuracy(np.eye(3), np.full(3, 2), ignore_label=2).array == 0


def test_many_classes_and_positions():
    rng = np.random.default_rng(0)
    y, t = rng.standard_normal((20, 30, 90)), rng.integers(0, 30, (20, 90))
    np.testing.assert_allclose(F.accuracy(y, t).array, (y.argmax(axis=1) == t).mean())


@pytest.mark.parametrize(
    ("y", "t", "error", "message"),
    [
        ((3, 4), (2,), ValueError, r"\(3, 4\).*\(2,\)"),
        ((3, 4, 2), (3,), ValueError, r"\(3, 4, 2\).*\(3,\)"),
        ((3,), (3,), ValueError, r"\(3,\)"),
        ((3, 0), (3,), ValueError, r"\(3, 0\)"),
        ((3, 4), (), ValueError, r"\(\)"),
    ],
)
def test_errors(y, t, error, message):
    with pytest.raises(error, match=r"^\[accuracy\] .*" + message):
        F.accuracy(np.zeros(y), np.zeros(t, int))


def test_dtypes_are_checked():
    with pytest.raises(TypeError, match=r"\[accuracy\] scores: got int64"):
        F.accuracy(np.zeros((3, 4), int), np.zeros(3, int))
    with pytest.raises(TypeError, match=r"\[accuracy\] labels: got float64"):
        F.accuracy(np.zeros((3, 4)), np.zeros(3))
