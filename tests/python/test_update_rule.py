"""Update rules: state, hooks, users' own rules beside the table."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import chainrule
from chainrule import optimizer_hooks, optimizers
from chainrule.optimizers.adam import AdamRule
from small_links import make_link


class Signs(chainrule.UpdateRule):
    """A user's rule with a state, as one writes it for Chainer."""

    def init_state(self, param):
        self.state["sum"] = np.zeros_like(param.array)

    def update_core_cpu(self, param):
        self.state["sum"] += param.grad
        param.array -= self.hyperparam.lr * np.sign(self.state["sum"])


class SignSGD(chainrule.GradientMethod):
    def __init__(self, lr=0.5):
        super().__init__()
        self.hyperparam.lr = lr

    lr = chainrule.optimizer.HyperparameterProxy("lr")

    def create_update_rule(self):
        return Signs(self.hyperparam)


def test_a_users_optimizer():
    link = make_link(a=2, b=1)
    optimizer = SignSGD().setup(link)
    optimizer.add_hook(optimizer_hooks.WeightDecay(3))
    assert link.a.update_rule.state is None
    optimizer.update()
    np.testing.assert_array_equal(link.a.array, [-0.5, -0.5])
    np.testing.assert_array_equal(link.a.grad, [1, 1])
    link.a.update_rule.hyperparam.lr = 2.0
    optimizer.lr = 1.0
    link.a.grad = link.a.grad.copy()
    optimizer.update()  # the decay turns the sign of the sum: 1 + (1 - 1.5)
    np.testing.assert_array_equal(link.a.update_rule.state["sum"], [0.5, 0.5])
    assert (link.a.array[0], link.b.array[0]) == (-2.5, -1.5)
    assert link.a.update_rule.t == 2


def test_a_users_rule_beside_the_table():
    link = make_link(a=1, b=1, c=1)
    optimizer = optimizers.SGD(lr=1).setup(link)
    rule = link.b.update_rule = Signs()
    rule.hyperparam.lr = 10
    optimizer.update()
    assert [param.array[0] for param in link.params()] == [-1, -10, -1]
    assert not optimizer._plain
    assert len(optimizer._in_python) == 1
    link.b.cleargrad()
    optimizer.update()
    assert (rule.t, link.b.array[0]) == (1, -10)
    rule.enabled = False
    link.b.grad = np.ones(1, np.float32)
    optimizer.update()
    assert (rule.t, link.b.array[0]) == (1, -10)


def test_derived_from_a_built_in_rule():
    calls = []

    class Loud(AdamRule):
        def update_core(self, param):
            calls.append(self.t)
            super().update_core(param)

    class Started(AdamRule):
        def init_state(self, param):
            super().init_state(param)
            self.state["m"][...] = 5
            self.state["note"] = "anything"

    plain, loud, started = (make_link(w=3) for _ in range(3))
    optimizer = optimizers.Adam(alpha=0.1)
    for link, cls in ((plain, AdamRule), (loud, Loud), (started, Started)):
        link.w.update_rule = cls(optimizer.hyperparam)
    chain = chainrule.Chain(plain=plain, loud=loud, started=started)
    optimizer.target = chain
    optimizer._hookable = chainrule._hookable.Hookable()
    for _ in range(3):
        optimizer.update()
    assert calls == [1, 2, 3]
    np.testing.assert_array_equal(plain.w.array, loud.w.array)
    np.testing.assert_array_equal(plain.w.update_rule.state["m"], loud.w.update_rule.state["m"])
    assert set(started.w.update_rule.state) == {"m", "v", "note"}
    assert started.w.update_rule.state["m"][0] > 3


def test_hooks_in_python_give_the_bits_of_the_table():
    results = []
    for in_python in (False, True):
        link = make_link(w=(3, 4))
        link.w.array[...] = np.linspace(-1, 1, 12).reshape(3, 4)
        optimizer = optimizers.MomentumSGD(lr=0.1).setup(link)
        rule = link.w.update_rule
        rule.add_hook(optimizer_hooks.WeightDecay(0.1))
        rule.add_hook(optimizer_hooks.Lasso(0.1))
        if in_python:
            rule.add_hook(lambda rule, param: None, name="nothing")
        for step in range(5):
            link.w.grad = np.full((3, 4), step - 2, np.float32)
            optimizer.update()
        assert rule.t == 5
        results.append((link.w.array, rule.state["v"]))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])


def test_state_is_live():
    link = make_link(w=(2, 2))
    optimizer = optimizers.Adam(alpha=0.1).setup(link)
    rule = link.w.update_rule
    assert rule.state is None
    optimizer.update()
    state = rule.state
    m = state["m"]
    assert rule.state is state
    assert state["m"] is m
    assert m.dtype == np.float32
    before = m.copy()
    optimizer.update()
    assert state["m"] is m
    assert not np.array_equal(m, before)
    state["m"] = np.full((2, 2), 7)
    assert state["m"] is m
    np.testing.assert_array_equal(m, np.full((2, 2), 7))
    m[...] = 0
    state["v"][...] = 0
    link.w.grad = np.zeros((2, 2), np.float32)
    at = link.w.array.copy()
    optimizer.update()
    np.testing.assert_array_equal(link.w.array, at)
    for bad, error in ((np.zeros(3), ValueError), ("text", TypeError), (1j, TypeError)):
        with pytest.raises(error):
            state["m"] = bad
    with pytest.raises(KeyError):
        _ = state["vhat"]
    state["mine"] = 3
    assert (dict(state)["mine"], len(state), list(state)) == (3, 3, ["m", "v", "mine"])
    assert "m" in repr(state)
    del state["mine"], state["m"]
    assert list(state) == ["v"]
    with pytest.raises(TypeError, match="must be floating: got int64"):
        state["m"] = np.zeros((2, 2), np.int64)
    optimizer.update()  # what is missing starts anew
    assert list(state) == ["m", "v"]
    m = state["m"]
    del link, optimizer, rule, state
    assert m.shape == (2, 2)  # keeps its memory


def test_amsgrad_switched_on_later():
    link = make_link(w=1)
    optimizer = optimizers.Adam().setup(link)
    optimizer.update()
    link.w.update_rule.hyperparam.amsgrad = True
    optimizer.update()
    assert list(link.w.update_rule.state) == ["m", "v", "vhat"]
    np.testing.assert_array_equal(link.w.update_rule.state["vhat"], link.w.update_rule.state["v"])


def test_update_of_one_parameter():
    link, other = make_link(w=5000), make_link(w=5000)
    optimizer = optimizers.Adam().setup(link)
    optimizers.Adam().setup(other)
    for _ in range(3):
        optimizer.update()
        other.w.update()
    np.testing.assert_array_equal(link.w.array, other.w.array)
    assert other.w.update_rule.t == 3
    other.w.update_rule.enabled = False
    other.w.update()
    assert other.w.update_rule.t == 3
    with pytest.raises(NotImplementedError, match="override update_core"):
        chainrule.UpdateRule().update(link.w)
    with pytest.raises(TypeError, match="not a parameter: got ndarray"):
        link.w.update_rule._update(np.zeros(3))


def test_fp32_update_follows_what_others_write():
    link = chainrule.Link()
    with link.init_scope():
        link.w = chainrule.Parameter(np.ones(1, np.float16))
        link.v = chainrule.Parameter(np.ones(1, np.float16))
    optimizer = optimizers.SGD(lr=2.0**-13)
    optimizer.use_fp32_update()
    optimizer.setup(link)
    seen = []
    link.v.update_rule.add_hook(lambda rule, p: seen.append(p.array.dtype), name="in python")
    for _ in range(16):
        link.w.grad = link.v.grad = np.ones(1, np.float16)
        optimizer.update()
    # Each step alone is lost in float16; sixteen are not.
    assert link.w.array[0] == link.v.array[0] == np.float16(1 - 2.0**-9)
    assert set(seen) == {np.dtype(np.float32)}
    link.w.array[...] = 4
    optimizer.update()
    assert link.w.update_rule._master(link.w)[0] == np.float32(4 - 2.0**-13)
    optimizer.use_fp32_update(False)
    assert not link.w.update_rule._fp32_update


def test_copies_and_pickles():
    link = make_link(w=3)
    optimizer = optimizers.Adam().setup(link)
    rule = link.w.update_rule
    rule.add_hook(optimizer_hooks.WeightDecay(0.5))
    rule.hyperparam.alpha = 0.25
    rule.note = "kept"
    optimizer.update()
    for other in (copy.deepcopy(rule), pickle.loads(pickle.dumps(rule))):
        assert (other.t, other.enabled, other.note) == (1, True, "kept")
        assert other.hyperparam.get_dict() == rule.hyperparam.get_dict()
        assert other.initial_alpha == rule.initial_alpha
        for name, array in rule.state.items():
            np.testing.assert_array_equal(other.state[name], array)
            assert other.state[name] is not array
        assert len(other._native_hooks) == 1
    own = Signs()
    own.hyperparam.lr = 1
    own.update(link.w)
    other = copy.deepcopy(own)
    np.testing.assert_array_equal(other.state["sum"], own.state["sum"])


def test_an_error_in_a_users_rule_names_nothing_else():
    class Broken(chainrule.UpdateRule):
        def update_core_cpu(self, param):
            raise ZeroDivisionError("mine")

    link = make_link(a=1, b=1)
    optimizer = optimizers.SGD(lr=1).setup(link)
    link.b.update_rule = Broken()
    with pytest.raises(ZeroDivisionError, match="mine"):
        optimizer.update()
    link.b.update_rule.enabled = False
    optimizer.update()
    assert link.a.array[0] == -1
