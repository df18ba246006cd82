import numpy as np
import pytest

import chainrule.functions as F
from chainrule import Variable, gradient_check
from chainrule.gradient_check import NondifferentiableError


def wrong_gradient(x):
    """x * x whose gradient misses a part: one factor is cut off the graph."""
    return x * Variable(x.array, requires_grad=False)


def wrong_second_gradient(x):
    return x * x + F.sum(wrong_gradient(x * x)) * 0


def test_numerical_grad_of_several_inputs_and_outputs():
    a, b = np.array([[1.0, 2.0]]), np.array(3.0)
    gradients = gradient_check.numerical_grad(
        lambda: (a * b, a.sum()), (a, b), (np.array([[10.0, 20.0]]), np.array(1.0)), eps=1e-4
    )
    np.testing.assert_allclose(gradients[0], [[31.0, 61.0]], rtol=1e-9)
    np.testing.assert_allclose(gradients[1], 50.0, rtol=1e-9)
    np.testing.assert_array_equal(a, [[1.0, 2.0]])
    assert b == 3.0


def test_numerical_grad_keeps_the_dtype_and_skips_outputs_without_gradient():
    x = np.array([2.0], np.float32)
    (gradient,) = gradient_check.numerical_grad(
        lambda: (x * x, x * 100), (x,), (np.ones(1, np.float32), None), eps=1e-2
    )
    assert gradient.dtype == np.float32
    np.testing.assert_allclose(gradient, [4.0], rtol=1e-4)


def test_numerical_grad_finds_a_kink():
    x = np.array([1.0, 1e-5])
    with pytest.raises(NondifferentiableError, match=r"\(1,\)"):
        gradient_check.numerical_grad(
            lambda: np.abs(x), (x,), (np.ones(2),), detect_nondifferentiable=True
        )
    gradient_check.numerical_grad(
        lambda: x * x, (x,), (np.ones(2),), detect_nondifferentiable=True, diff_atol=1e-9
    )


def test_numerical_grad_refuses_what_cannot_be_moved():
    with pytest.raises(TypeError, match=r"\[numerical_grad\]"):
        gradient_check.numerical_grad(lambda: (), (np.array([1]),), ())


def test_check_backward_passes_and_fails():
    x, gy = np.array([0.5, -1.5]), np.array([1.0, 2.0])
    gradient_check.check_backward(lambda x: x * x, x, gy)
    with pytest.raises(AssertionError, match="check_backward"):
        gradient_check.check_backward(wrong_gradient, x, gy)


def test_check_backward_in_another_dtype_with_several_inputs_and_outputs():
    a = np.random.uniform(-1, 1, (3, 2)).astype(np.float16)
    t = np.array([0, 1, 1])

    def function(a, b, t):
        assert a.dtype == np.float64
        return a * b, F.select_item(a, t), None

    gys = (np.ones((3, 2), np.float16), np.ones(3, np.float16), None)
    gradient_check.check_backward(function, (a, a[:1], t), gys, dtype=np.float64)


def test_check_backward_moves_parameters_and_puts_them_back():
    w = Variable(np.array([2.0, 3.0], np.float32))
    before = w.array
    gradient_check.check_backward(
        lambda x: x * w, np.ones(2, np.float32), np.ones(2, np.float32), w, dtype="d"
    )
    assert w.array is before
    np.testing.assert_array_equal(before, [2, 3])
    with pytest.raises(AssertionError):
        gradient_check.check_backward(
            lambda x: x * w * w.array, np.ones(2), np.ones(2), (w,), dtype="d"
        )


def test_check_backward_with_inputs_that_take_no_gradient():
    x = np.array([0.5, 1.5])
    gradient_check.check_backward(
        lambda a, b: wrong_gradient(b) * a, (x, x), x, no_grads=(False, True)
    )
    with pytest.raises(AssertionError):
        gradient_check.check_backward(
            lambda a, b: wrong_gradient(b) * a, (x, x), x, no_grads=(True, False)
        )


def test_check_backward_finds_a_kink():
    with pytest.raises(NondifferentiableError):
        gradient_check.check_backward(
            F.relu, np.array([1e-6]), np.array([1.0]), detect_nondifferentiable=True
        )
    gradient_check.check_backward(
        F.tanh, np.array([1e-6]), np.array([1.0]), detect_nondifferentiable=True
    )


def test_check_double_backward_passes_and_fails():
    x, gy, ggx = np.array([0.5, -1.5]), np.array([1.0, 2.0]), np.array([3.0, -1.0])
    gradient_check.check_double_backward(F.tanh, x, gy, ggx)

    def detached(x):
        # The gradient is right, but nothing leads from it back to x.
        return F.sum(x * Variable(2 * x.array)) + 0 * x

    with pytest.raises(AssertionError):
        gradient_check.check_double_backward(detached, x, gy, ggx)


def test_check_double_backward_with_parameters():
    w = Variable(np.array([2.0, -3.0]))
    x = np.array([0.5, 1.5])
    gradient_check.check_double_backward(lambda x: F.exp(x * w), x, x, x, w, np.array([1.0, 2.0]))


def test_assert_allclose_takes_variables():
    gradient_check.assert_allclose(Variable(np.ones(2)), np.ones(2) + 1e-9)
    with pytest.raises(AssertionError):
        gradient_check.assert_allclose(np.ones(2), np.zeros(2))
