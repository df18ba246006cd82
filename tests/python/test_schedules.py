"""Values that are expressions: their numbers, their copies, and how updates follow them."""

from __future__ import annotations

import copy
import functools
import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule
import chainrule.functions as F
from chainrule import optimizers, schedules
from chainrule.schedules import (
    Expression,
    after,
    before,
    constant,
    cosine,
    every,
    inherit,
    linear,
    step,
    warmup,
)
from golden import golden_schedules
from small_links import make_link

NAMES = {name: getattr(schedules, name) for name in schedules.__all__}


@pytest.mark.parametrize("case", golden_schedules.CASES)
def test_against_pytorch_and_optax(case):
    expected = golden_schedules.load()[case]
    schedule = eval(golden_schedules.CASES[case], NAMES)
    actual = [schedule(t) for t in range(len(expected))]
    # Both multiply step by step, which rounds again and again.
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-15)


def test_closed_forms_against_numpy():
    t = np.arange(40)
    u = np.clip((t - 5) / 20, 0, 1)
    forms = {
        "constant(0.2)": np.full(40, 0.2),
        "linear(0.1, 0.7, 20, begin=5)": 0.1 + 0.6 * u,
        "cosine(0.1, 0.7, 20, begin=5)": 0.7 - 0.6 * (1 + np.cos(np.pi * u)) / 2,
        "polynomial(0.1, 0.7, 20, 0.5, begin=5)": 0.7 - 0.6 * np.sqrt(1 - u),
        "exponential(0.1, 0.9, steps=3, begin=5)": 0.1 * 0.9 ** (np.maximum(t - 5, 0) / 3),
        "exponential(0.1, 0.9, steps=3, staircase=True)": 0.1 * 0.9 ** (t // 3),
        "piecewise([5, 7], [step, 3.0, -1.0])": np.select([t < 5, t < 7], [t, 3.0], -1.0),
        "warmup(10, start=0.5)": np.minimum(0.5 + 0.05 * t, 1),
        "after(5) - before(7)": (t >= 5) * 1.0 - (t < 7),
        "every(7)": t % 7 == 0,
    }
    for text, expected in forms.items():
        schedule = eval(text, NAMES)
        assert repr(schedule) == text
        np.testing.assert_allclose([schedule(int(i)) for i in t], expected, rtol=1e-14, atol=1e-15)


# Random expressions, each with a function that does the same in Python.


def plain(number):
    return constant(number), lambda t, x: np.float64(number)


def ramp(t, steps, begin):
    return min(max((t - begin) / steps, 0.0), 1.0)


def clean(function):
    def quiet(t, x):
        with np.errstate(all="ignore"):
            return np.float64(function(t, x))

    return quiet


OPERATORS = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "power": lambda a, b: a**b,
    "minimum": lambda a, b: np.minimum(a, b),
    "maximum": lambda a, b: np.maximum(a, b),
    "less": lambda a, b: a < b,
    "less_equal": lambda a, b: a <= b,
    "greater": lambda a, b: a > b,
    "greater_equal": lambda a, b: a >= b,
    "equal": lambda a, b: a == b,
    "not_equal": lambda a, b: a != b,
}
SCHEDULES = {
    "linear": lambda a, b, u: a + (b - a) * u if u < 1 else b,
    "cosine": lambda a, b, u: b + (a - b) * ((1 + math.cos(math.pi * u)) / 2),
}
NUMBERS = st.floats(-1e6, 1e6) | st.sampled_from([0.0, -0.0, 1.0, 0.1, 5e-324, 1e308])
COUNTS = st.integers(1, 20)


@st.composite
def operated(draw, children):
    op = draw(st.sampled_from(sorted(OPERATORS)))
    (a, f), (b, g) = draw(children), draw(children)
    made = Expression._make(op, [a, b], [])
    return made, clean(lambda t, x: OPERATORS[op](f(t, x), g(t, x)))


@st.composite
def scheduled(draw, children):
    op = draw(st.sampled_from(sorted(SCHEDULES)))
    (a, f), (b, g) = draw(children), draw(children)
    steps, begin = draw(st.floats(0.5, 30)), draw(st.floats(-5, 20))
    made = Expression._make(op, [a, b], [steps, begin])
    return made, clean(lambda t, x: SCHEDULES[op](f(t, x), g(t, x), ramp(t, steps, begin)))


@st.composite
def pieces(draw, children):
    boundaries = sorted(draw(st.sets(st.integers(0, 20), max_size=4)))
    values = [draw(children) for _ in range(len(boundaries) + 1)]
    made = schedules.piecewise(boundaries, [value for value, _ in values])
    return made, lambda t, x: values[int(np.searchsorted(boundaries, t, "right"))][1](t, x)


LEAVES = (
    st.just((inherit, lambda t, x: np.float64(x)))
    | st.just((step, lambda t, x: np.float64(t)))
    | NUMBERS.map(plain)
    | COUNTS.map(lambda n: (after(n), lambda t, x: np.float64(t >= n)))
    | COUNTS.map(lambda n: (before(n), lambda t, x: np.float64(t < n)))
    | COUNTS.map(lambda n: (every(n), lambda t, x: np.float64(t % n == 0)))
    | COUNTS.map(lambda n: (warmup(n), lambda t, x: np.float64(min(t / n, 1.0))))
)
TREES = st.recursive(LEAVES, lambda c: operated(c) | scheduled(c) | pieces(c), max_leaves=12)


def same(a, b):
    return a == b or (math.isnan(a) and math.isnan(b))


@settings(max_examples=200, deadline=None)
@given(tree=TREES, t=st.integers(0, 30), x=NUMBERS)
def test_any_expression_against_python(tree, t, x):
    expression, function = tree
    expected = function(t, x)
    assert same(expression(t, x), expected), (expression, t, x)
    # Without loss through plain data, JSON, pickles and text.
    data = expression.to_data()
    text = json.dumps(data)
    for other in (
        Expression.from_data(json.loads(text)),
        pickle.loads(pickle.dumps(expression)),
    ):
        assert json.dumps(other.to_data()) == text
        assert repr(other) == repr(expression)
        assert same(other(t, x), expected)
    assert copy.deepcopy(expression) is expression
    assert same(eval(repr(expression), NAMES)(t, x), expected), repr(expression)


@settings(max_examples=60, deadline=None)
@given(trees=st.lists(TREES, min_size=1, max_size=4))
def test_any_expression_in_the_table(trees):
    """Each on a parameter of its own, over the optimizer's rate; what is not finite is refused."""
    link = make_link(**{f"p{i}": 1 for i in range(len(trees))})
    optimizer = optimizers.SGD(lr=0.25).setup(link)
    params = list(link.params())
    for param, (expression, _) in zip(params, trees, strict=True):
        param.update_rule.hyperparam.lr = expression
    expected = np.zeros(len(trees), np.float32)
    for t in range(4):
        rates = [function(t, 0.25) for _, function in trees]
        read = [param.update_rule.hyperparam.lr for param in params]
        assert all(same(a, b) for a, b in zip(read, rates, strict=True))
        if not np.isfinite(rates).all():
            with pytest.raises(ValueError, match=r"/p\d: hyperparameter 'lr' of SGD is not finite"):
                optimizer.update()
            assert optimizer.t == t
            break
        if np.abs(rates).max() > 1e30:  # beyond float32
            break
        optimizer.update()
        expected -= np.array(rates, np.float32)
    np.testing.assert_array_equal([param.array[0] for param in params], expected)


def test_the_example_of_the_module():
    rate = warmup(500) * cosine(3e-4, 0.0, 10000)
    assert rate(250) == 0.5 * cosine(3e-4, 0.0, 10000)(250)
    for number in (2, 0.1, np.float32(0.1), np.float64(0.1), np.int64(3), True):
        for made in (inherit * number, number * inherit):
            assert isinstance(made, Expression)
            assert made(0, 2) == 2 * float(number)
    assert (np.float32(3) - step)(1) == 2
    assert (2**step)(5) == 32
    assert (1 / step)(4) == 0.25
    assert ((step > 3) & (step < 5) | ~after(1))(4) == 1
    assert [((step > 3) & ~every(2) | (step == 0))(t) for t in (0, 2, 5)] == [1, 0, 1]
    assert (inherit & inherit)(0, 3) == 1  # on where it is not zero


def test_what_is_no_expression_is_refused():
    for bad in ("0.1", None, [1], np.ones(1), 1j):
        with pytest.raises(TypeError):
            inherit * bad
    with pytest.raises(TypeError, match="neither true nor false before there is a step"):
        bool(step > 3)
    with pytest.raises(TypeError, match="neither true nor false"):
        _ = 1 < step < 3
    with pytest.raises(ValueError, match=r"\[number\] value: got nan, expected a finite number"):
        _ = inherit * math.nan
    for call, message in (
        (lambda: cosine(1, 0, 0), r"\[cosine\] steps: got 0.0, expected a positive number"),
        (lambda: after(-1), r"\[after\] n: got -1.0, expected a whole number, not negative"),
        (lambda: every(1.5), r"\[every\] n: got 1.5, expected a positive whole number"),
        (lambda: schedules.piecewise([2, 1], [1, 2, 3]), "must be finite and rise: got 2.0, 1.0"),
        (lambda: schedules.piecewise([2], [1]), "got 1 values and 1 boundaries"),
        (lambda: (inherit * 2)(0), "'inherit \\* 2.0' inherits: say from what number"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(ValueError, match="nested too deeply: got 257 levels"):
        functools.reduce(lambda e, _: e + 1, range(1000), step)
    with pytest.raises(ValueError, match="too large: got 8191 terms"):
        functools.reduce(lambda e, _: e + e, range(1000), step)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ({"cosin": {}}, ValueError, "no such op: got 'cosin'; did you mean 'cosine'?"),
        ({"cosine": {"start": 1, "end": 0}}, ValueError, "'steps' is missing"),
        ({"after": {"n": 1, "m": 2}}, ValueError, "no such part: got 'm'"),
        ({"after": [1]}, TypeError, "expected a dict of its parts: got list"),
        ({"after": {"n": "1"}}, TypeError, "expected a number: got str"),
        ({"after": {"n": 0.5}}, ValueError, "expected a whole number"),
        ({"after": {"n": 1}, "before": {"n": 1}}, TypeError, "a dict of one op"),
        ({"add": [1]}, ValueError, "wrong number of parts: got 1 expressions"),
        ({"add": 1}, TypeError, "expected a list: got int"),
        ({"inherit": [1]}, ValueError, "wrong number of parts"),
        ({1: []}, TypeError, "an op's name is no string: got int"),
        ({"after": {2: 1}}, TypeError, "a name is no string: got int"),
        ("step", TypeError, "expected a number or a dict of one op: got 'step'"),
        (math.inf, ValueError, "expected a finite number"),
        (None, TypeError, "got None"),
    ],
)
def test_bad_data_is_refused(data, error, message):
    with pytest.raises(error, match=message):
        Expression.from_data(data)


def test_data_that_is_nested_too_deeply_is_refused():
    data: object = 1.0
    for _ in range(100_000):
        data = {"negative": [data]}
    with pytest.raises(ValueError, match="nested too deeply"):
        Expression.from_data(data)
    while isinstance(data, dict):  # freed level by level
        data = data["negative"].pop()


def test_inherited_values_are_live():
    link = make_link(a=1, b=1)
    optimizer = optimizers.MomentumSGD(lr=0.5, momentum=0.0).setup(link)
    own = link.b.update_rule.hyperparam
    own.lr = inherit * 0.5
    assert (own.lr, type(own.lr)) == (0.25, float)
    assert repr(own.get_expression("lr")) == "inherit * 0.5"
    assert own.get_expression("momentum") == 0.0
    optimizer.update()
    optimizer.lr = 1.0
    optimizer.update()
    optimizer.lr = step * 2  # a schedule above reaches what inherits from it
    assert (optimizer.lr, own.lr) == (4.0, 2.0)
    assert own.get_dict() == {"lr": 2.0, "momentum": 0.0}
    assert repr(own) == "Hyperparameter(lr=2.0, momentum=0.0)"
    optimizer.update()
    del own.lr
    optimizer.update()
    assert link.a.array[0] == -(0.5 + 1 + 4 + 6)
    assert link.b.array[0] == -(0.25 + 0.5 + 2 + 6)
    with pytest.raises(ValueError, match="'lr' has no parent to inherit from: got 'inherit'"):
        optimizer.lr = inherit
    assert optimizer.lr == 8.0
    free = chainrule.optimizer.Hyperparameter(chainrule.optimizer.Hyperparameter())
    free.rate = inherit + 1
    with pytest.raises(AttributeError, match="no parent has 'rate' to inherit"):
        _ = free.rate
    free.parent.rate = "text"
    with pytest.raises(TypeError, match="'rate' of the parent is no number to inherit"):
        _ = free.rate
    with pytest.raises(ValueError, match="too many ancestors: got 65, expected at most 64"):
        functools.reduce(lambda h, _: chainrule.optimizer.Hyperparameter(h), range(100), None)


def test_a_rule_attached_by_hand_follows_the_optimizer_that_updates_it():
    link = make_link(a=1, b=1)
    optimizer = optimizers.SGD(lr=1).setup(link)
    optimizer.t = 10
    other = optimizers.SGD(lr=step)
    rule = link.b.update_rule = other.create_update_rule()
    assert (rule.hyperparam.lr, other.lr) == (10.0, 0.0)
    optimizer.update()
    assert (link.b.array[0], rule.hyperparam.lr, other.lr) == (-10, 11.0, 0.0)
    # A switch counts for the forward pass before the first update, too.
    rule = link.b.update_rule = other.create_update_rule()
    rule.enabled = before(11)
    assert not rule.enabled
    assert link.b.frozen
    # What joins the optimizer's link later does so at once.
    with link.init_scope():
        link.c = chainrule.Parameter(np.zeros(1, np.float32))
    rule = link.c.update_rule = optimizers.SGD(lr=step).create_update_rule()
    assert rule.hyperparam.lr == 11.0
    link.c.grad = np.ones(1, np.float32)
    optimizer.update()
    assert (link.c.array[0], rule.hyperparam.lr) == (-11, 12.0)
    alone = optimizers.sgd.SGDRule()
    alone.hyperparam.lr = step + 1
    param = make_link(w=1).w
    for t in range(3):
        assert alone.hyperparam.lr == t + 1
        alone.update(param)
    assert param.array[0] == -(1 + 2 + 3)
    alone.hyperparam = chainrule.optimizer.Hyperparameter()
    alone.hyperparam.lr = step
    assert alone.hyperparam.lr == 3
    alone.update(param)
    assert (param.array[0], alone.hyperparam.lr) == (-9, 4)


def test_a_rule_in_python_sees_the_step_that_the_table_sees():
    seen = []

    class Rule(chainrule.UpdateRule):
        def update_core_cpu(self, param):
            seen.append(self.hyperparam.lr)

    link = make_link(a=1, b=1)
    optimizer = optimizers.SGD(lr=step).setup(link)
    link.b.update_rule = Rule(optimizer.hyperparam)
    optimizer.add_hook(lambda o: seen.append(o.lr), name="before", timing="pre")
    optimizer.add_hook(lambda o: seen.append(o.lr), name="after", timing="post")
    for _ in range(3):
        optimizer.update()
    assert seen == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert link.a.array[0] == -(0 + 1 + 2)
    link.b.update_rule.hyperparam.lr = 1 / (step - 3)
    with pytest.raises(ValueError, match=r"/b: hyperparameter 'lr' is not finite: got inf = 1.0 /"):
        optimizer.update()
    assert (optimizer.t, link.a.array[0], len(seen)) == (3, -3, 9)
    alone = Rule()
    alone.hyperparam.lr = step
    for _ in range(2):
        alone.update(link.b)
    assert seen[9:] == [0, 1]


class Net(chainrule.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.first = chainrule.links.Linear(3, 4)
            self.last = chainrule.links.Linear(4, 2)

    def loss(self):
        x = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
        return F.sum(F.square(self.last(F.tanh(self.first(x)))))


@pytest.mark.parametrize("in_steps", [False, True])
def test_enabled_by_a_schedule_prunes_gradients(in_steps):
    net = Net()
    optimizer = optimizers.SGD(lr=0.01).setup(net)
    if in_steps:  # Python has a part in every update
        optimizer.add_hook(lambda o: None, name="nothing")
    W = net.first.W
    W.update_rule.enabled = after(2) & ~every(4)
    for t in range(8):
        on = t >= 2 and t % 4 != 0
        assert (W.update_rule.enabled, W.update_enabled) == (on, on)
        assert W.frozen == (not on)
        before_it = W.array.copy()
        optimizer.update(net.loss)
        assert (W.grad is not None) == on
        assert net.first.b.grad is not None
        assert np.array_equal(W.array, before_it) == (not on)
    assert W.update_rule.t == 5
    # A step that is set, or loaded, is followed at once.
    assert W.update_rule.enabled is False
    optimizer.t = 3
    assert (W.update_rule.enabled, W.frozen) == (True, False)
    # Plain words override.
    net.first.disable_update()
    optimizer.update(net.loss)
    assert (W.update_rule.enabled, W.frozen, W.grad) == (False, True, None)
    net.first.enable_update()
    optimizer.t = 0
    assert (W.update_rule.enabled, W.frozen) == (True, False)


def test_enabled_survives_copies_and_a_second_setup():
    net = Net()
    optimizer = optimizers.SGD(lr=0.01).setup(net)
    net.first.W.update_rule.enabled = before(2)
    optimizer.setup(net)
    assert repr(net.first.W.update_rule._enabled_when) == "before(2)"
    optimizer.lr = cosine(0.1, 0.0, 10)
    net.first.b.update_rule.hyperparam.lr = inherit * 0.5
    optimizer.update(net.loss)
    for other in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        W = other.target.first.W
        for _ in range(2):
            assert W.update_rule.enabled == (other.t < 2)
            other.update(other.target.loss)
        assert other.t == 3
        assert W.frozen
        assert W.update_rule.enabled is False
        values = other.target.first.b.update_rule.hyperparam
        assert values.lr == cosine(0.1, 0.0, 10)(3) * 0.5
        other.t = 10
        assert (other.lr, values.lr) == (0.0, 0.0)
    other = copy.copy(optimizer)
    other.t = 7
    assert optimizer.t == 1  # copies count for themselves
    assert net.first.W.update_rule.enabled is True


def test_enabled_is_checked():
    link = make_link(a=1, b=1)
    optimizer = optimizers.SGD(lr=1).setup(link)
    with pytest.raises(ValueError, match="'enabled' has no parent to inherit from"):
        link.b.update_rule.enabled = inherit > 1
    link.b.update_rule.enabled = linear(0, 1, 2) / (step - 1)
    optimizer.update()
    with pytest.raises(ValueError, match="/b: 'enabled' is not finite: got inf = linear"):
        optimizer.update()
    assert (link.a.array[0], link.b.array[0], optimizer.t) == (-1, 0, 1)
    link.b.update_rule.enabled = step == 1
    optimizer.update()
    assert (link.b.array[0], link.b.update_rule.enabled) == (-1, False)
    # As in Chainer, parameters that are off take part in graphs; they are not updated.
    with chainrule.using_config("chainer_semantics", True):
        link.a.update_rule.enabled = after(10)
        assert not link.a.frozen
        optimizer.update()
    assert (link.a.array[0], link.a.frozen) == (-2, False)


def test_snapshots_go_on_where_they_were(tmp_path):
    def start():
        net = Net()
        for param in net.params():
            param.array[...] = 0.125
        optimizer = optimizers.Adam(alpha=warmup(4) * cosine(0.1, 0.0, 12)).setup(net)
        net.first.W.update_rule.enabled = after(5)
        return net, optimizer

    whole, optimizer = start()
    for _ in range(8):
        optimizer.update(whole.loss)
    half, optimizer = start()
    for _ in range(4):
        optimizer.update(half.loss)
    chainrule.serializers.save_npz(tmp_path / "net", half)
    chainrule.serializers.save_npz(tmp_path / "optimizer", optimizer)
    resumed, optimizer = start()
    chainrule.serializers.load_npz(tmp_path / "net", resumed)
    chainrule.serializers.load_npz(tmp_path / "optimizer", optimizer)
    for _ in range(4):
        optimizer.update(resumed.loss)
    assert optimizer.t == 8
    for a, b in zip(whole.params(), resumed.params(), strict=True):
        np.testing.assert_array_equal(a.array, b.array)


def test_arrays_without_dimensions_are_numbers():
    schedule = schedules.linear(np.array(1.0), np.float32(0), np.int64(10))
    assert str(schedule) == "linear(1.0, 0.0, 10)"
