import numpy as np
import pytest

import chainrule
from chainrule import Variable


def scalar(value):
    return Variable(np.array(value, np.float64))


def test_grad_of_several():
    x, y, unused = scalar(3.0), scalar(4.0), scalar(5.0)
    gx, gy, gz = chainrule.grad([x * y, x * x], [x, y, unused])
    assert (gx.array, gy.array, gz) == (10, 3, None)
    assert x.grad is None


def test_grad_of_intermediates():
    x = scalar(3.0)
    y = x * x
    z = y * y
    (gy,) = chainrule.grad([z], [y])
    assert gy.array == 18


def test_grad_options():
    x = scalar(3.0)
    y = x * x
    start, extra = scalar(2.0), scalar(1.0)
    (gx,) = chainrule.grad([y], [x], [start], [extra], set_grad=True)
    assert gx.array == 13
    assert x.grad == 13
    (gx,) = chainrule.grad((y,), (x,), loss_scale=4.0)
    assert gx.array == 24


@pytest.mark.parametrize("retain", [True, False])
def test_grad_can_keep_what_lies_between(retain):
    x = scalar(3.0)
    y = x * x
    chainrule.grad([y * y], [x], retain_grad=retain)
    assert y.grad == (18 if retain else None)


def test_double_backprop():
    x = scalar(3.0)
    (gx,) = chainrule.grad([x * x * x], [x], enable_double_backprop=True)
    (ggx,) = chainrule.grad([gx], [x])
    assert ggx.array == 18
    (plain,) = chainrule.grad([x * x * x], [x])
    assert plain.creator is None


def test_backward_of_several():
    x = scalar(3.0)
    y = x * x
    chainrule.backward([y, x * 2], [scalar(10.0), None])
    assert x.grad == 62
    x.cleargrad()
    chainrule.backward([x * x], loss_scale=2.0)
    assert x.grad == 12


def test_misuse():
    x = scalar(3.0)
    with pytest.raises(TypeError, match="got Variable, expected a list or tuple"):
        chainrule.grad(x * x, [x])
    with pytest.raises(TypeError, match="got Variable, expected a list or tuple"):
        chainrule.backward(x * x)
    with pytest.raises(TypeError, match="got None, expected a Variable"):
        chainrule.grad([x * x], [None])
    with pytest.raises(TypeError, match="got None, expected a Variable"):
        chainrule.backward([None])
    with pytest.raises(ValueError, match="number of grad_outputs: got 2, expected 1"):
        chainrule.grad([x * x], [x], [x, x])
    with pytest.raises(ValueError, match="number of grad_outputs: got 2, expected 1"):
        chainrule.backward([x * x], [x, x])
    with pytest.raises(RuntimeError, match="no graph"):
        chainrule.backward([x])


def test_grad_is_where_chainer_has_it():
    assert chainrule.function_node.grad is chainrule.grad
