import numpy as np
import pytest

import chainrule
import chainrule.links as L
from chainrule import Variable, initializers


def ones(*shape, dtype=np.float32):
    return np.ones(shape, dtype)


def test_forward_and_backward():
    layer = L.Linear(3, 2, initial_bias=0.5)
    x = Variable(np.arange(12, dtype=np.float32).reshape(4, 3))
    y = layer(x)
    np.testing.assert_allclose(y.array, x.array @ layer.W.array.T + 0.5, rtol=1e-6)
    y.grad = ones(4, 2)
    y.backward()
    np.testing.assert_allclose(layer.W.grad, np.tile(x.array.sum(0), (2, 1)))
    np.testing.assert_allclose(layer.b.grad, [4, 4])
    np.testing.assert_allclose(x.grad, np.tile(layer.W.array.sum(0), (4, 1)), rtol=1e-6)


@pytest.mark.parametrize("make", [lambda: L.Linear(2), lambda: L.Linear(None, 2)])
def test_open_size(make):
    layer = make()
    assert (layer.in_size, layer.out_size, layer.W.is_initialized) == (None, 2, False)
    assert layer(ones(4, 3, 5)).shape == (4, 2)
    assert (layer.in_size, layer.W.shape) == (15, (2, 15))


def test_batch_axes():
    layer = L.Linear(None, 2)
    assert layer(ones(4, 3, 5), n_batch_axes=2).shape == (4, 3, 2)
    assert layer.W.shape == (2, 5)


def test_nobias():
    layer = L.Linear(3, 2, nobias=True)
    assert layer.b is None
    assert [path for path, _ in layer.namedparams()] == ["/W"]
    assert layer(ones(4, 3)).shape == (4, 2)


def test_initial_values():
    layer = L.Linear(3, 2, initialW=np.full((2, 3), 2.0), initial_bias=np.array([1.0, 2.0]))
    assert layer.W.dtype == np.float32
    np.testing.assert_array_equal(layer.W.array, np.full((2, 3), 2))
    np.testing.assert_array_equal(layer.b.array, [1, 2])
    late = L.Linear(None, 2, initialW=initializers.One())
    late(ones(1, 3))
    np.testing.assert_array_equal(late.W.array, np.ones((2, 3)))
    with pytest.raises(ValueError, match="could not broadcast"):
        L.Linear(3, 2, initialW=ones(3, 2))


def test_from_params():
    weight, bias = ones(2, 3), np.array([1, 2], np.float32)
    for W, b in ((weight, bias), (chainrule.Parameter(weight), Variable(bias))):
        layer = L.Linear.from_params(W, b)
        np.testing.assert_array_equal(layer.W.array, weight)
        np.testing.assert_array_equal(layer.b.array, bias)
        assert layer.W.array is not weight
    assert L.Linear.from_params(weight).b is None
    assert L.Linear.from_params(weight, bias, nobias=True).b is None
    with pytest.raises(ValueError, match=r"\[Linear\] shape of b: got \(2,\), expected \(3,\)"):
        L.Linear.from_params(weight.T, bias)


def test_size_is_found_after_loading():
    layer = L.Linear(None, 2)
    layer.copyparams(L.Linear(3, 2))
    assert layer(ones(1, 3)).shape == (1, 2)
    assert layer.in_size == 3
    with pytest.raises((ValueError, TypeError)):
        layer(ones(1, 4))


def test_a_failed_first_call_leaves_the_size_open():
    layer = L.Linear(None, 2)
    with pytest.raises(AttributeError):
        layer("text")
    assert layer.W.is_initialized is False
    assert layer(ones(1, 3)).shape == (1, 2)
