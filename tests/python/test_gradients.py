import gc
import weakref

import numpy as np
import pytest

import chainrule
import chainrule.functions as F
from chainrule import Variable, _core


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


class Cube(chainrule.FunctionNode):
    """A function in Python that keeps what one gives it."""

    def forward(self, inputs):
        self.retain_inputs((0,))
        return (inputs[0] ** 3,)

    def backward(self, indexes, grad_outputs):
        (x,) = self.get_retained_inputs()
        return (3 * x * x * grad_outputs[0],)


def own_output(f, y):
    f.kept = y


def later_output(f, y):
    f.kept = [F.tanh(F.exp(y))]


def of_both_branches(f, y):
    f.kept = F.concat([y, F.exp(y)], axis=0)


def output_of_another(f, y):
    (f.kept,) = Cube().apply((y,))


@pytest.mark.parametrize("keep", [own_output, later_output, of_both_branches, output_of_another])
def test_a_function_that_keeps_what_came_of_it_is_collected(keep):
    gc.collect()
    before = _core.live_node_count(), _core.live_variable_count()
    for _ in range(5):
        f = Cube()
        (y,) = f.apply((Variable(np.full(1, 2.0)),))
        keep(f, y)
        gone = weakref.ref(f)
        del f, y
    assert _core.live_node_count() > before[0]  # a cycle: counting alone does not free it
    gc.collect()
    assert gone() is None
    assert (_core.live_node_count(), _core.live_variable_count()) == before


def test_collections_leave_alone_what_is_in_use():
    f = Cube()
    x = Variable(np.full(1, 2.0))
    (y,) = f.apply((x,))
    f.kept = y
    handle = y  # the cycle, held from outside
    gone = weakref.ref(f)
    del f, y
    gc.collect()
    handle.backward()
    assert float(x.grad[0]) == 12
    assert handle.creator is gone()
    x.cleargrad()
    z = handle * handle  # and now by C++ alone
    del handle
    gc.collect()
    z.backward()
    assert float(x.grad[0]) == 192
    del z
    gc.collect()
    assert gone() is None


def test_a_recorded_gradient_is_no_cycle():
    """x -> its gradient -> how that was computed -> x."""
    before = _core.live_node_count()
    x = Variable(np.array(2.0))
    y = x * x * x
    y.backward(retain_grad=True, enable_double_backprop=True)
    gradient = x.grad_var
    assert gradient.creator is not None
    del x, y
    assert float(gradient.array) == 12
    gradient.backward()  # the user's own handle still leads back
    del gradient
    assert _core.live_node_count() == before
