import copy
import json
import pathlib
import pickle
import re

import numpy as np
import pytest

import chainrule
import chainrule.links as L
from chainrule import Parameter, Variable, initializers

FACTS = json.loads((pathlib.Path(__file__).parent / "golden" / "behaviour.json").read_text())


def ones(*shape, dtype=np.float32):
    return np.ones(shape, dtype)


PRINTED = {
    "float32_2d": lambda: Variable(np.array([[1, 2.5], [-3, 0]], np.float32)),
    "int32_named": lambda: Variable(np.array([1, 2], np.int32), name="x"),
    "scalar": lambda: Variable(np.array(0.44018972, np.float32)),
    "float64": lambda: Variable(np.array([1.5, 2.0])),
    "float16_named": lambda: Variable(np.array([1.5], np.float16), name="h"),
    "none": lambda: Variable(None),
    "empty": lambda: Variable(np.zeros((0, 3), np.float32)),
    "long": lambda: Variable(np.arange(2000, dtype=np.float32)),
    "Parameter": lambda: Parameter(np.zeros(2, np.float32)),
    "Parameter_named": lambda: L.Linear(2, 3).b,
    "Parameter_uninitialized": lambda: L.Linear(None, 2).W,
}


@pytest.mark.parametrize("name", PRINTED)
def test_printed_as_in_chainer(name):
    with np.printoptions(precision=8):
        variable = PRINTED[name]()
        assert {"repr": repr(variable), "str": str(variable)} == FACTS["reprs"][name]
        assert chainrule.variable.variable_repr(variable) == repr(variable)
        assert chainrule.variable.variable_str(variable) == str(variable)


def test_summary_and_debug_print_as_in_chainer():
    data = np.array([1, 2, 4], np.float32)
    variables = {
        "named_grad": Variable(data, name="x", grad=np.array([0.5, -0.5, 1], np.float32)),
        "zero_grad": Variable(data, grad=np.zeros(3, np.float32)),
        "no_grad_float64": Variable(np.array([[1.0, 3.0]]), name="d"),
        "empty": Variable(None, name="e"),
    }
    for name, expected in FACTS["summary_and_debug_print"].items():
        found = {
            key: re.sub("0x[0-9a-f]+", "0xADDRESS", getattr(variables[name], key)())
            for key in expected
        }
        assert found == expected


def test_as_variable_and_as_array():
    x = ones(2)
    variable = chainrule.as_variable(x)
    assert variable.array is x
    assert variable.requires_grad is False
    assert chainrule.as_variable(variable) is variable
    assert chainrule.as_array(variable) is x
    assert chainrule.as_array(x) is x


def test_device():
    variable = Variable(ones(2))
    assert variable.xp is np
    assert variable.device == chainrule.get_device("@numpy")
    variable.to_cpu()
    variable.to_device("@numpy")
    variable.to_intel64()
    variable.from_chx()
    with pytest.raises(RuntimeError, match="ChainerX is not available"):
        variable.to_chx()


def test_node_knows_shape_and_graph():
    x = Variable(ones(2, 3), name="x")
    y = x * 2
    node = y.node
    assert (node.shape, node.dtype, node.ndim) == ((2, 3), np.float32, 2)
    assert node.get_variable() is y
    assert node.get_variable_or_none() is y
    assert node.rank == y.rank == 1
    assert (x.node.name, x.node.label, x.label) == ("x", "(2, 3), float32", "(2, 3), float32")
    assert (x.node.creator, x.node.creator_node, x.creator_node) == (None, None, None)
    assert y.node.data is y.array
    assert x.node.grad is x.node.grad_var is None
    assert x.node.requires_grad is True
    assert Variable(np.array(3, np.float32)).label == "float32"
    assert Variable(None).node.get_variable_or_none() is None


class Sub(Variable):
    pass


@pytest.mark.parametrize("make", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_copies_of_variables(make):
    x = Sub(ones(2), name="x", grad=ones(2), requires_grad=False)
    x.extra = {"a": 1}
    copied = make(x)
    assert type(copied) is Sub
    np.testing.assert_array_equal(copied.array, x.array)
    assert copied.array is not x.array
    np.testing.assert_array_equal(copied.grad, ones(2))
    assert (copied.name, copied.requires_grad, copied.extra) == ("x", False, {"a": 1})
    y = Variable(ones(2)) * 3
    assert make(y).creator is None


def test_shallow_copies_share_data_and_graph():
    x = Variable(ones(2), name="x")
    copied = copy.copy(x)
    assert copied is not x
    assert copied.array is x.array
    copied.grad = ones(2)
    assert x.grad is None
    y = copy.copy(x * 3)
    y.grad = ones(2)
    y.backward()
    np.testing.assert_array_equal(x.grad, 3 * ones(2))


class TestParameter:
    def test_of_an_array(self):
        x = ones(2)
        parameter = Parameter(x, name="p")
        assert parameter.array is x
        assert parameter.initializer is x
        assert (parameter.is_initialized, parameter.name, parameter.grad) == (True, "p", None)
        assert parameter.update_rule is None

    def test_of_a_shape(self):
        np.testing.assert_array_equal(Parameter(0.5, (2, 3)).array, np.full((2, 3), 0.5, "f"))
        np.testing.assert_array_equal(Parameter(0.5, 3).array, np.full(3, 0.5, "f"))
        assert Parameter(0.5, ()).shape == ()
        assert np.isnan(Parameter(None, (2,)).array).all()
        broadcast = Parameter(np.array([1.0, 2.0]), (3, 2))
        np.testing.assert_array_equal(broadcast.array, np.array([[1, 2]] * 3, np.float32))
        assert broadcast.dtype == np.float32

    def test_without_a_shape(self):
        parameter = Parameter(initializers.One(np.float64))
        assert parameter.is_initialized is False
        assert parameter.array is None
        assert parameter.dtype == np.float64
        assert Parameter().dtype == np.float32
        parameter.initialize((2,))
        np.testing.assert_array_equal(parameter.array, np.ones(2))
        assert (parameter.grad, parameter.dtype) == (None, np.float64)

    def test_initialize_again_forgets_the_gradient(self):
        parameter = Parameter(np.full(2, 3.0, np.float32))
        parameter.grad = ones(2)
        parameter.initialize((4, 2))
        np.testing.assert_array_equal(parameter.array, np.full((4, 2), 3.0))
        assert parameter.grad is None

    @pytest.mark.parametrize("wrong", [[1, 2], "abc", {}])
    def test_misuse(self, wrong):
        with pytest.raises((TypeError, ValueError), match="got"):
            Parameter(wrong)

    def test_takes_part_in_graphs(self):
        parameter = Parameter(2.0, ())
        (parameter * parameter).backward()
        assert parameter.grad == 4

    @pytest.mark.parametrize("make", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
    def test_copies(self, make):
        parameter = Parameter(0.25, (2,), name="p")
        parameter.grad = ones(2)
        parameter.frozen = True
        copied = make(parameter)
        assert type(copied) is Parameter
        np.testing.assert_array_equal(copied.array, parameter.array)
        np.testing.assert_array_equal(copied.grad, ones(2))
        assert (copied.name, copied.frozen, copied.initializer.fill_value) == ("p", True, 0.25)
        open_shape = make(Parameter(initializers.Normal(0.5), name="q"))
        assert (open_shape.is_initialized, open_shape.name) == (False, "q")
        assert open_shape.initializer.scale == 0.5
        both = make([parameter, parameter])
        assert both[0] is both[1]

    def test_shallow_copy_shares_data_but_not_gradients(self):
        parameter = Parameter(0.25, (2,), name="p")
        copied = copy.copy(parameter)
        assert type(copied) is Parameter
        assert copied.array is parameter.array
        assert copied.initializer is parameter.initializer
        copied.grad = ones(2)
        assert parameter.grad is None

    def test_copydata(self):
        def copied(target, source):
            target.copydata(source)
            return [None if p.array is None else p.array.tolist() for p in (target, source)]

        def full(value, size=2):
            return Parameter(np.full(size, value, np.float32))

        assert copied(full(3), full(5)) == [[5, 5], [5, 5]]
        assert copied(Parameter(), full(3)) == [[3, 3], [3, 3]]
        assert copied(full(3), Parameter(7.0)) == [[7, 7], [7, 7]]
        assert copied(Parameter(), Parameter()) == [None, None]
        assert copied(full(3), Variable(ones(2, dtype=np.float64))) == [[1, 1], [1, 1]]
        with pytest.raises(ValueError, match=r"shapes differ: got \(3,\), expected \(2,\)"):
            full(3).copydata(full(1, 3))

    def test_addgrad(self):
        def added(target, source, first, second):
            target.grad, source.grad = first, second
            target.addgrad(source)
            return None if target.grad is None else target.grad.tolist()

        def one():
            return Parameter(ones(2))

        assert added(one(), one(), ones(2), ones(2)) == [2, 2]
        assert added(one(), one(), None, ones(2)) == [1, 1]
        assert added(one(), one(), ones(2), None) == [1, 1]
        fresh = Parameter(1.0)
        assert added(fresh, one(), None, ones(2)) == [1, 1]
        np.testing.assert_array_equal(fresh.array, ones(2))
        assert added(one(), Parameter(), ones(2), None) == [1, 1]

    def test_update_asks_the_rule(self):
        calls = []

        class Rule:
            enabled = True

            def update(self, param):
                calls.append(param)

        parameter = Parameter(ones(2))
        parameter.update()
        parameter.update_rule = Rule()
        parameter.update()
        assert calls == [parameter]

    def test_disabled_before_there_is_a_rule(self):
        class Rule:
            enabled = True

        parameter = Parameter(ones(2))
        parameter.update_enabled = False
        assert parameter.frozen is True
        parameter.update_rule = rule = Rule()
        assert rule.enabled is False
        parameter.update_enabled = True
        assert (rule.enabled, parameter.frozen, parameter.update_enabled) == (True, False, True)

    def test_frozen_parameters_are_left_out(self):
        frozen, free = Parameter(ones(2)), Parameter(ones(2))
        frozen.update_enabled = False
        y = frozen * free
        y.grad = ones(2)
        y.backward()
        assert frozen.grad is None
        np.testing.assert_array_equal(free.grad, ones(2))

    def test_chainers_semantics_forget_and_do_not_freeze(self):
        parameter = Parameter(ones(2))
        with chainrule.using_config("chainer_semantics", True):
            parameter.update_enabled = False
        assert (parameter.frozen, parameter.update_enabled) == (False, True)


@pytest.mark.parametrize(
    "use",
    [
        lambda p: p.T,
        lambda p: p.transpose(),
        lambda p: p + 1,
        lambda p: 2.0 * p,
        lambda p: p**2,
        lambda p: 1 / p,
        lambda p: p - np.ones(1, np.float32),
        lambda p: p @ p,
    ],
)
def test_a_variable_without_data_is_refused(use):
    with pytest.raises((TypeError, RuntimeError), match=r"without data|no data yet"):
        use(chainrule.Parameter(0.5))
