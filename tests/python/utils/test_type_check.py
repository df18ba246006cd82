import pickle

import numpy as np
import pytest

from chainrule.utils import type_check as T

X = T.Variable(T.TypeInfo((2, 3), np.dtype("float32")), "x")


@pytest.mark.parametrize(
    ("expression", "text", "value"),
    [
        (X.shape[0] == 3, "x.shape[0] == 3", False),
        (X.shape[0] + 1 == 3 * X.ndim, "x.shape[0] + 1 == 3 * x.ndim", False),
        ((X.shape[0] + 1) * 2 == -X.ndim, "(x.shape[0] + 1) * 2 == -x.ndim", False),
        (X.dtype.kind == "f", "x.dtype.kind == 'f'", True),
        (X.dtype == np.float32, "x.dtype == <class 'numpy.float32'>", True),
        (X.ndim**2 % 3 == X.ndim // 2, "x.ndim ** 2 % 3 == x.ndim // 2", True),
        (X.ndim - 1 - 1, "x.ndim - 1 - 1", 0),
        (X.ndim - (X.ndim - 1), "x.ndim - (x.ndim - 1)", 1),
        (2 - X.ndim, "2 - x.ndim", 0),
        (X.ndim != 2, "x.ndim != 2", False),
        (X.ndim <= 2, "x.ndim <= 2", True),
        (X.ndim > 1, "x.ndim > 1", True),
        (X.ndim >= 1, "x.ndim >= 1", True),
        (X.ndim < 1, "x.ndim < 1", False),
        (X.size, "x.size", 6),
        (X.shape[1:], "x.shape[1:]", (3,)),
        (X.shape[::2], "x.shape[::2]", (2,)),
        (X.size / 4, "x.size / 4", 1.5),
        ((2**X.ndim) ** 2, "(2 ** x.ndim) ** 2", 16),
        (T.prod(X.shape) == 6, "prod(x.shape) == 6", True),
        (X.shape.count(X.ndim), "x.shape.count(x.ndim)", 1),
        (X.shape == (2, 3), "x.shape == (2, 3)", True),
    ],
)
def test_expressions(expression, text, value):
    assert str(expression) == text
    assert T.eval(expression) == value


def test_plain_values():
    assert T.eval(3) == 3
    assert T.prod((2, 3)) == 6
    T.expect(True, X.ndim == 2, X.dtype == "float32")
    with pytest.raises(T.InvalidType, match="Expect: False\nActual: False"):
        T.expect(False)


def test_errors_show_expected_and_actual():
    with pytest.raises(T.InvalidType) as caught:
        T.expect(X.ndim == 2, X.shape[0] == X.shape[1])
    error = caught.value
    assert (error.expect, error.actual) == ("x.shape[0] == x.shape[1]", "2 != 3")
    assert str(error) == "Expect: x.shape[0] == x.shape[1]\nActual: 2 != 3"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_an_expression_is_no_bool():
    with pytest.raises(RuntimeError, match="cannot be evaluated as bool"):
        bool(X.ndim == 2)


def test_types_of_arrays():
    types = T.get_types((np.ones(2, np.float32), np.ones((2, 2))), "in_types")
    assert T.eval(types.size()) == 2
    for wrong, message in (
        (types.size() == 3, "Expect: in_types.size == 3\nActual: 2 != 3"),
        (types[1].ndim == 1, r"Expect: in_types\[1\].ndim == 1"),
        (types[1].shape[0] == types[0].shape, r"Actual: 2 != \(2,\)"),
    ):
        with pytest.raises(T.InvalidType, match=message):
            T.expect(wrong)
    T._argname(types, ("x", "t"))
    with pytest.raises(T.InvalidType, match=r"Expect: t\.ndim == 1"):
        T.expect(types[1].ndim == 1)
    with pytest.raises(TypeError, match="got None, expected arrays"):
        T.get_types((None,), "in_types")
    assert T.eval(T.get_types((None,), "in_types", True)[0]) is None


def test_broadcast():
    T.expect_broadcast_shapes(X.shape, T.make_variable((3,), "s"))
    message = r"cannot broadcast inputs of the following shapes:\nx.shape = \(2, 3\)\ns = \(4,\)"
    with pytest.raises(T.InvalidType, match=message):
        T.expect_broadcast_shapes(X.shape, T.make_variable((4,), "s"))


def test_same_types():
    assert T.same_types(np.ones(2), np.ones(3))
    assert not T.same_types(np.ones(2), 3)
