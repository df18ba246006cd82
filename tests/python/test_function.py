import gc

import numpy as np
import pytest

import chainrule
from chainrule import Function, Variable
from chainrule.function import FunctionAdapter
from chainrule.utils import type_check


class Double(Function):
    def forward(self, inputs):
        return (inputs[0] * 2,)

    def backward(self, inputs, grad_outputs):
        self.seen = (inputs, grad_outputs)
        return (grad_outputs[0] * 2,)


class Product(Function):
    def forward_cpu(self, inputs):
        a, b = inputs
        return a * b, a + b

    def backward_cpu(self, inputs, grad_outputs):
        a, b = inputs
        product, total = grad_outputs
        total = 0 if total is None else total
        return product * b + total, product * a + total


class OutputOnly(Function):
    def forward(self, inputs):
        self.retain_inputs(())
        self.retain_outputs((0,))
        return (np.exp(inputs[0]),)

    def backward(self, inputs, grad_outputs):
        self.seen = inputs
        return (self.output_data[0] * grad_outputs[0],)


def variable(value):
    return Variable(np.array(value, np.float64))


def test_forward_and_backward():
    x = variable(3.0)
    function = Double()
    y = function(x)
    assert isinstance(y, Variable)
    y.backward()
    assert x.grad == 2
    (array,), (grad,) = function.seen
    assert array is x.array
    assert type(grad) is np.ndarray


def test_several_outputs():
    a, b = variable(2.0), variable(5.0)
    product, total = Product()(a, b)
    assert (product.array, total.array) == (10, 7)
    product.backward()
    assert (a.grad, b.grad) == (5, 2)
    only = variable(2.0)
    Product()(only, np.array(5.0))[0].backward()
    assert only.grad == 5


def test_retained_outputs():
    x = variable(0.5)
    function = OutputOnly()
    y = function(x)
    y.backward()
    assert x.grad == y.array
    assert function.seen == (None,)


def test_graph_attributes():
    x = variable(1.0)
    function = Double()
    with pytest.raises(RuntimeError, match=r"\[Double\] there is no graph"):
        _ = function.inputs
    y = function(x)
    assert y.creator is function
    assert y.creator_node is function.node
    assert isinstance(function.node, FunctionAdapter)
    assert function.node.function is function
    assert (function.label, function.node.label, function.rank) == ("Double", "Double", 0)
    assert function.inputs[0].get_variable() is x
    assert function.outputs[0]().get_variable() is y
    function.unchain()
    assert y.creator is None


def test_may_run_again():
    x = variable(1.0)
    function = Double()
    function(function(x)).backward()
    assert x.grad == 4


def test_cannot_be_differentiated_twice():
    x = variable(1.0)
    (gx,) = chainrule.grad([Double()(x)], [x], enable_double_backprop=True)
    assert gx.array == 2
    with pytest.raises(
        RuntimeError, match='cannot twice-differentiate an old style Function "Double"'
    ):
        chainrule.grad([gx * x], [x])


@pytest.mark.parametrize(
    ("result", "error", "message"),
    [
        (None, TypeError, "backward returned NoneType, expected a tuple of arrays"),
        ((), ValueError, "incorrect: 0 != expected 1"),
        ((np.ones(()), np.ones(())), ValueError, "incorrect: 2 != expected 1"),
        ((np.ones(3),), ValueError, r"wrong shape for input 0: got \(3,\), expected \(\)"),
        ((np.float32(1),), TypeError, "wrong dtype for input 0: got float32, expected float64"),
    ],
)
def test_what_backward_returns_is_checked(result, error, message):
    class Wrong(Double):
        def backward(self, inputs, grad_outputs):
            return result

    with pytest.raises(error, match=r"\[Wrong\] .*" + message):
        Wrong()(variable(1.0)).backward()


def test_missing_gradients():
    class NoBackward(Function):
        def forward(self, inputs):
            return inputs

    x = variable(1.0)
    NoBackward()(x).backward()
    assert x.grad is None
    with pytest.raises(NotImplementedError, match=r"\[Function\] neither forward nor forward_cpu"):
        Function()(x)


def test_type_check():
    class Checked(Double):
        def check_type_forward(self, in_types):
            type_check.expect(in_types[0].ndim == 1)

    with pytest.raises(type_check.InvalidType, match="performed in: Checked"):
        Checked()(variable(1.0))


def test_errors_come_through():
    class Bad(Double):
        def backward(self, inputs, grad_outputs):
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        Bad()(variable(1.0)).backward()


def test_nothing_is_left():
    gc.disable()
    try:
        function = Double()
        function(variable(1.0)).backward()
        with pytest.raises(RuntimeError, match="no graph"):
            _ = function.node
    finally:
        gc.enable()


def test_modes_are_where_chainer_has_them():
    assert chainrule.function.no_backprop_mode is chainrule.no_backprop_mode
    assert chainrule.function.force_backprop_mode is chainrule.force_backprop_mode
