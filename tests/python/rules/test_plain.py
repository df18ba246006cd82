"""Values and hooks as plain data: there and back, to the bit."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule import optimizer, optimizer_hooks, optimizers, schedules
from chainrule.rules.plain import (
    Opaque,
    algorithms,
    decode,
    encode,
    hook_arguments,
    hook_classes,
    hook_kind,
    make_hook,
)

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(),
    st.floats(),
    st.floats(width=16).map(np.float16),
    st.floats(width=32).map(np.float32),
    st.floats().map(np.float64),
    st.integers(-100, 100).map(np.int8),
    st.booleans().map(np.bool_),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
)


def alike(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(alike(a[key], b[key]) for key in a)
    if isinstance(a, (float, np.floating)):
        return repr(a) == repr(b) or (math.isnan(a) and math.isnan(b))
    return a == b


@given(VALUES)
def test_values_come_back(value):
    text = json.dumps(encode(value), allow_nan=False)
    assert alike(decode(json.loads(text)), value)


def test_bfloat16_and_dtypes():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    value = ml_dtypes.bfloat16(0.1)
    back = decode(json.loads(json.dumps(encode(value))))
    assert type(back) is ml_dtypes.bfloat16
    assert back == value
    for dtype in (np.dtype("float32"), np.dtype(ml_dtypes.bfloat16)):
        assert decode(encode(dtype)) == dtype


def test_expressions_come_back():
    value = schedules.warmup(10) * schedules.cosine(0.1, schedules.inherit, 100) + 1 / 3
    back = decode(json.loads(json.dumps(encode(value), allow_nan=False)))
    assert repr(back) == repr(value)
    assert [back(t, 0.01) for t in range(120)] == [value(t, 0.01) for t in range(120)]


def test_what_is_only_named():
    data = encode([1, object()])
    assert data == {"list": [1, {"object": "builtins.object"}]}
    with pytest.raises(Opaque, match=r"an object of class builtins\.object"):
        decode(data)
    assert encode(np.zeros(3)) == {"object": "numpy.ndarray"}
    assert encode(1j) == {"object": "builtins.complex"}
    assert encode({1: 2}) == {"object": "builtins.dict"}


@pytest.mark.parametrize(
    "data",
    [[1], {}, {"flaot": "nan"}, {"float": "x"}, {"float": []}, {"numpy": "float32"},
     {"numpy": "f77", "value": 1}, {"numpy": "float32", "value": "x"}, {"list": 3},
     {"dict": []}, {"float": "nan", "list": []}, {"dtype": "f77"}, 1j, {1: 2},
     {"expression": 1j}, {"expression": {"cosin": {}}}, {"expression": {"cosine": {}}}],
)  # fmt: skip
def test_malformed_values(data):
    with pytest.raises(ValueError, match=r"could not convert|not a value|no such|missing"):
        decode(data)


HOOKS = {
    "GradientClipping": (2.5,),
    "GradientHardClipping": (-1.5, 2.0),
    "GradientLARS": (0.5, 0.25, 1e-5),
    "GradientNoise": (0.3,),
    "Lasso": (0.5,),
    "WeightDecay": (0.1,),
}


@pytest.mark.parametrize("name", sorted(HOOKS))
def test_built_in_hooks(name):
    hook = getattr(optimizer_hooks, name)(*HOOKS[name])
    arguments = json.loads(json.dumps(hook_arguments(hook)))
    assert tuple(arguments.values()) == HOOKS[name]
    other = make_hook(hook_kind(hook), arguments)
    assert type(other) is type(hook)
    assert hook_arguments(other) == arguments
    assert other is not hook


def test_all_built_ins_are_known():
    assert set(HOOKS) <= set(hook_classes())
    rules = {getattr(optimizers, name)._rule_class for name in optimizers.__all__}
    assert set(algorithms().values()) == rules
    with pytest.warns(DeprecationWarning, match="optimizer_hooks"):
        old = optimizer.WeightDecay(0.5)
    assert hook_kind(old) == "WeightDecay"
    assert hook_arguments(old) == {"rate": 0.5}


def test_hooks_that_plain_data_cannot_hold():
    def mine(rule, param):
        pass

    class Derived(optimizer_hooks.WeightDecay):
        pass

    assert hook_arguments(mine) is None
    assert hook_kind(mine).endswith("test_hooks_that_plain_data_cannot_hold.<locals>.mine")
    assert hook_arguments(Derived(1)) is None
    assert hook_kind(Derived(1)).endswith("Derived")
    assert hook_arguments(optimizer_hooks.GradientNoise(0.1, lambda *args: 0)) is None


@pytest.mark.parametrize(
    ("kind", "arguments", "error", "message"),
    [
        ("WeightDecey", {}, KeyError, "no hook 'WeightDecey'; did you mean 'WeightDecay'"),
        ("WeightDecay", {"rat": 1}, ValueError, "has no argument 'rat'; did you mean 'rate'"),
        ("WeightDecay", {}, ValueError, "missing 1 required"),
        ("WeightDecay", {"rate": {"float": 3, "x": 1}}, ValueError, "not a value"),
        ("WeightDecay", {"rate": "much"}, ValueError, "hook WeightDecay"),
    ],
)
def test_bad_hooks(kind, arguments, error, message):
    with pytest.raises(error, match=message):
        make_hook(kind, arguments)
