import gc
import threading
import weakref

import numpy as np
import pytest

import chainrule
from chainrule import FunctionNode, Variable, _core
from chainrule.utils import type_check


class Cube(FunctionNode):
    def forward(self, inputs):
        self.retain_inputs((0,))
        (x,) = inputs
        return (x**3,)

    def backward(self, indexes, grad_outputs):
        (x,) = self.get_retained_inputs()
        return (3 * x * x * grad_outputs[0],)


class Exp(FunctionNode):
    def forward(self, inputs):
        self.retain_outputs((0,))
        return (np.exp(inputs[0]),)

    def backward(self, indexes, grad_outputs):
        (y,) = self.get_retained_outputs()
        return (y * grad_outputs[0],)


class Split(FunctionNode):
    """Two inputs, three outputs."""

    def forward(self, inputs):
        self.retain_inputs((1, 0))
        a, b = inputs
        return a * b, a + b, a - b

    def backward(self, indexes, grad_outputs):
        self.seen = (indexes, [None if g is None else g.array.tolist() for g in grad_outputs])
        b, a = self.get_retained_inputs()
        product, total, difference = grad_outputs
        grads = {0: [], 1: []}
        if product is not None:
            grads[0].append(product * b)
            grads[1].append(product * a)
        if total is not None:
            grads[0].append(total)
            grads[1].append(total)
        if difference is not None:
            grads[0].append(difference)
            grads[1].append(-difference)
        return tuple(sum(grads[i][1:], grads[i][0]) for i in indexes)


def variable(*values, dtype=np.float64):
    return Variable(np.array(values, dtype))


def run(node, *inputs):
    return node.apply(inputs)[0]


def backward(y):
    y.grad = np.ones_like(y.array)
    y.backward()


def test_forward_and_backward():
    x = variable(1.0, 2.0)
    y = run(Cube(), x)
    assert y.array.tolist() == [1, 8]
    backward(y)
    assert x.grad.tolist() == [3, 12]


def test_what_forward_returns_is_adopted():
    class Keep(Cube):
        def forward(self, inputs):
            self.made = inputs[0] * 2
            return (self.made,)

    node = Keep()
    assert run(node, variable(1.0)).array is node.made
    x = np.ones(2)
    assert run(Identity(), x).array is x


class Identity(FunctionNode):
    def forward(self, inputs):
        return inputs

    def backward(self, indexes, grad_outputs):
        return grad_outputs


def test_numbers_are_made_arrays():
    class Total(Identity):
        def forward(self, inputs):
            return (inputs[0].sum(),)

    assert run(Total(), np.ones(3)).shape == ()


def test_double_backprop():
    x = variable(2.0)
    (gx,) = chainrule.grad([run(Cube(), x)], [x], [variable(1.0)], enable_double_backprop=True)
    (ggx,) = chainrule.grad([gx], [x], [variable(1.0)], enable_double_backprop=True)
    (gggx,) = chainrule.grad([ggx], [x], [variable(1.0)])
    assert (gx.array[0], ggx.array[0], gggx.array[0]) == (12, 12, 6)


def test_double_backprop_through_retained_outputs():
    x = variable(0.5)
    y = run(Exp(), x)
    (gx,) = chainrule.grad([y], [x], [variable(1.0)], enable_double_backprop=True)
    (ggx,) = chainrule.grad([gx], [x], [variable(1.0)], enable_double_backprop=True)
    assert ggx.array[0] == pytest.approx(np.exp(0.5))
    del y
    backward(gx)
    assert x.grad[0] == pytest.approx(np.exp(0.5))


def test_mixes_with_native_operations():
    x = variable(1.0, 2.0)
    y = run(Cube(), x * 2) * x
    backward(y)
    np.testing.assert_allclose(x.grad, 32 * x.array**3)


def test_several_inputs_and_outputs():
    a, b = variable(2.0), variable(5.0)
    node = Split()
    product, total, difference = node.apply((a, b))
    assert [y.array[0] for y in (product, total, difference)] == [10, 7, -3]
    backward(product * difference)
    assert node.seen == ((0, 1), [[-3.0], None, [10.0]])
    assert (a.grad[0], b.grad[0]) == (-3 * 5 + 10, -3 * 2 - 10)


def test_only_wanted_gradients_are_asked_for():
    a, b = variable(2.0), variable(5.0)
    node = Split()
    backward(node.apply((a, b.array))[0])
    assert node.seen[0] == (0,)
    assert a.grad[0] == 5
    node = Split()
    chainrule.grad([node.apply((a, b))[0]], [b], [variable(1.0)])
    assert node.seen[0] == (1,)


def test_nothing_is_recorded_without_need():
    node = Cube()
    assert run(node, np.ones(2)).creator is None
    assert node.inputs is None
    with chainrule.no_backprop_mode():
        assert run(Cube(), variable(1.0)).creator is None
    with pytest.raises(RuntimeError, match="there is no graph"):
        node.get_retained_inputs()


def test_recording_is_off_in_an_ordinary_backward():
    seen = []

    class Look(Identity):
        def backward(self, indexes, grad_outputs):
            seen.append(chainrule.config.enable_backprop)
            with chainrule.force_backprop_mode():
                seen.append(chainrule.config.enable_backprop)
            seen.append(chainrule.config.enable_backprop)
            return grad_outputs

    backward(run(Look(), variable(1.0)))
    assert seen == [False, True, False]
    assert chainrule.config.enable_backprop is True
    with chainrule.using_config("enable_backprop", False, chainrule.global_config):
        assert chainrule.config.enable_backprop is False


class TestAttributes:
    def test_before_apply(self):
        node = Cube()
        facts = (node.inputs, node.outputs, node.rank, node.label, node.output_data)
        assert facts == (None, None, 0, "Cube", None)
        node.unchain()

    def test_of_the_graph(self):
        x = variable(1.0, 2.0)
        middle = x * 2
        node = Cube()
        y = run(node, middle)
        assert y.creator is node
        assert y.creator_node is node
        assert (node.rank, y.rank) == (1, 2)
        (first,) = node.inputs
        assert (first.shape, first.dtype, first.rank) == ((2,), np.float64, 1)
        assert first.get_variable() is middle
        assert node.outputs[0]().get_variable() is y
        assert node.output_data[0] is y.array
        assert node.get_retained_inputs()[0] is middle

    def test_of_inputs_that_nobody_holds(self):
        node = Identity()
        y = run(node, variable(1.0, 2.0) * 2)
        (first,) = node.inputs
        assert (first.shape, first.dtype, first.data, first.rank) == ((2,), np.float64, None, 1)
        assert first.creator.label == "multiply"
        assert first.get_variable_or_none() is None
        constant = Split()
        z = constant.apply((y, np.ones(2)))[0]
        assert [node.requires_grad for node in constant.inputs] == [True, False]
        del y, z

    def test_of_outputs_that_nobody_holds(self):
        node = Split()
        kept = node.apply((variable(2.0), variable(3.0)))[0]
        assert [output() is None for output in node.outputs] == [False, True, True]
        assert node.output_data[1] is None
        del kept
        assert node.outputs is None

    def test_of_retained_outputs(self):
        node = Exp()
        y = run(node, variable(0.0))
        assert node.get_retained_outputs()[0] is y


class TestErrors:
    def test_python_errors_come_through_unchanged(self):
        class Mine(Exception):
            pass

        class Bad(Identity):
            def backward(self, indexes, grad_outputs):
                raise Mine("from backward", 3)

        x = variable(1.0)
        y = run(Bad(), x * 2)
        with pytest.raises(Mine) as caught:
            backward(y)
        assert caught.value.args == ("from backward", 3)
        assert caught.traceback[-1].name == "backward"
        assert x.grad is None

    def test_nothing_changes_when_backward_fails(self):
        class Bad(Identity):
            def backward(self, indexes, grad_outputs):
                raise KeyError("late")

        x, z = variable(1.0), variable(1.0)
        y = run(Bad(), x) * z
        with pytest.raises(KeyError):
            backward(y)
        assert (x.grad, z.grad) == (None, None)

    @pytest.mark.parametrize(
        ("result", "error", "message"),
        [
            (lambda g: g, TypeError, "backward returned Variable, expected a tuple"),
            (lambda g: None, TypeError, "backward returned NoneType, expected a tuple"),
            (lambda g: (), ValueError, r"incorrect: 0 != expected 1"),
            (lambda g: (g, g), ValueError, r"incorrect: 2 != expected 1"),
            (lambda g: (g.array,), TypeError, "a tuple with ndarray, expected Variables"),
            (lambda g: (1.0,), TypeError, "a tuple with float, expected Variables"),
            (
                lambda g: (variable(1.0),),
                ValueError,
                r"wrong shape for input 0: got \(1,\), expected \(2,\)",
            ),
            (
                lambda g: (variable(1.0, 1.0, dtype=np.float32),),
                TypeError,
                "wrong dtype for input 0: got float32, expected float64",
            ),
        ],
    )
    def test_what_backward_returns_is_checked(self, result, error, message):
        class Wrong(Identity):
            def backward(self, indexes, grad_outputs):
                return result(grad_outputs[0])

        x = variable(1.0, 2.0)
        with pytest.raises(error, match=r"\[Wrong\] .*" + message):
            backward(run(Wrong(), x))
        assert x.grad is None

    def test_none_and_lists_are_fine(self):
        class Nothing(Identity):
            def backward(self, indexes, grad_outputs):
                return [None]

        x = variable(1.0)
        backward(run(Nothing(), x))
        assert x.grad is None

    @pytest.mark.parametrize("wrong", [np.ones(2), None, [np.ones(2)]])
    def test_forward_has_to_return_a_tuple(self, wrong):
        class Wrong(Identity):
            def forward(self, inputs):
                return wrong

        with pytest.raises(TypeError, match=r"forward output must be a tuple \(Wrong\)"):
            run(Wrong(), variable(1.0))

    @pytest.mark.parametrize("wrong", [1.0, None, "x"])
    def test_forward_has_to_return_arrays(self, wrong):
        class Wrong(Identity):
            def forward(self, inputs):
                return (wrong,)

        with pytest.raises(TypeError, match=r"a tuple of ndarrays.\nFunction: Wrong"):
            run(Wrong(), variable(1.0))

    def test_dtypes_of_other_kinds(self):
        class Wrong(Identity):
            def forward(self, inputs):
                return (np.array(["x"]),)

        with pytest.raises(TypeError, match=r"\[Wrong\] dtype not supported: got <U1"):
            run(Wrong(), variable(1.0))

    @pytest.mark.parametrize("retain", ["retain_inputs", "retain_outputs"])
    def test_indexes_to_retain(self, retain):
        class Wrong(Identity):
            def forward(self, inputs):
                getattr(self, retain)((1,))
                return inputs

        with pytest.raises(
            IndexError, match=rf"\[Wrong\] {retain}: got index 1, expected one below 1"
        ):
            run(Wrong(), variable(1.0))

    def test_runs_once(self):
        node = Cube()
        x = variable(1.0)
        y = run(node, x)
        with pytest.raises(RuntimeError, match=r"\[Cube\] this function has run already"):
            run(node, y)

    def test_is_not_callable(self):
        with pytest.raises(RuntimeError, match="Use apply"):
            Cube()(variable(1.0))

    def test_without_forward(self):
        with pytest.raises(NotImplementedError, match=r"\[FunctionNode\] neither forward nor"):
            FunctionNode().apply((variable(1.0),))

    def test_data_replaced_in_between(self):
        x = variable(2.0)
        y = run(Cube(), x)
        x.array = np.array([100.0])
        backward(y)
        assert x.grad[0] == 12
        with pytest.raises(RuntimeError, match=r"\[Cube\] the data of an input was replaced"):
            chainrule.grad([y], [x], enable_double_backprop=True)

    def test_nan_in_debug_mode(self):
        class Log(Identity):
            def forward(self, inputs):
                return (np.full(2, np.nan),)

        run(Log(), variable(1.0))
        with (
            chainrule.using_config("debug", True),
            pytest.raises(RuntimeError, match="NaN is detected on forward computation of Log"),
        ):
            run(Log(), variable(1.0))


def test_forward_cpu():
    class Cpu(FunctionNode):
        def forward_cpu(self, inputs):
            return inputs

    x = variable(1.0)
    y = run(Cpu(), x)
    backward(y)
    assert x.grad is None  # the base gives no gradients


def test_backward_accumulate():
    class Accumulate(Identity):
        def backward_accumulate(self, indexes, grad_outputs, grad_inputs):
            assert grad_inputs == (None,)
            return (grad_outputs[0] * 5,)

    x = variable(1.0)
    backward(run(Accumulate(), x))
    assert x.grad[0] == 5
    one, two = variable(1.0), variable(2.0)
    sums = Identity().backward_accumulate((0, 1), (one, one), (two, None))
    assert [s.array[0] for s in sums] == [3, 1]


def test_unchain():
    x = variable(1.0)
    node = Cube()
    y = run(node, x)
    node.unchain()
    assert y.creator is None
    with pytest.raises(RuntimeError, match="no graph"):
        backward(y)
    with pytest.raises(RuntimeError, match=r"was freed"):
        node.get_retained_inputs()


def test_unchain_backward_frees_the_function():
    node = Cube()
    y = run(node, variable(1.0))
    dead = weakref.ref(node)
    del node
    assert dead() is not None
    y.unchain_backward()
    assert dead() is None


class Checked(Identity):
    def check_type_forward(self, in_types):
        type_check.expect(in_types.size() == 1)
        (x,) = in_types
        type_check.expect(x.dtype.kind == "f", x.ndim == 2)


def test_check_type_forward():
    run(Checked(), np.ones((1, 1)))
    for inputs, expected, actual in (
        ((np.ones(3),), "in_types[0].ndim == 2", "1 != 2"),
        ((np.ones(3), np.ones(2)), "in_types.size == 1", "2 != 1"),
        ((np.ones((3, 2), int),), "in_types[0].dtype.kind == 'f'", "i != f"),
    ):
        with pytest.raises(type_check.InvalidType) as caught:
            Checked().apply(inputs)
        assert str(caught.value) == (
            "\nInvalid operation is performed in: Checked (Forward)\n\n"
            f"Expect: {expected}\nActual: {actual}"
        )
    with chainrule.using_config("type_check", False):
        run(Checked(), np.ones(3))


class TestMemory:
    def test_graph_is_freed_without_a_collection(self):
        gc.disable()
        try:
            x = variable(1.0)
            node = Exp()
            dead = weakref.ref(node)
            y = run(node, run(Cube(), x))
            backward(y)
            del node, y
            assert dead() is None
            assert _core.live_node_count() == 0
        finally:
            gc.enable()

    def test_node_lives_as_long_as_an_output(self):
        y = run(Cube(), variable(1.0))
        gc.collect()
        assert isinstance(y.creator, Cube)

    def test_function_outlives_its_node(self):
        node = Cube()
        run(node, variable(1.0))
        assert node._node.alive is False
        with pytest.raises(RuntimeError, match="was freed"):
            node.get_retained_inputs()
        assert (node.inputs, node.outputs, node.output_data, node.rank) == (None, None, None, 0)

    def test_long_chains(self):
        x = variable(1.0)
        y = x
        for _ in range(20_000):
            y = run(Identity(), y)
        backward(y)
        assert x.grad[0] == 1
        del y
        assert _core.live_node_count() == 0

    def test_threads(self):
        results = []

        def work():
            for _ in range(50):
                x = variable(2.0)
                backward(run(Exp(), run(Cube(), x)))
                results.append(x.grad[0])

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(results) == 200
        assert len(set(results)) == 1
