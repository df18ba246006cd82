"""Parameters that join a link after an optimizer was set up for it."""

from __future__ import annotations

import copy
import io
import pickle
import warnings

import numpy as np
import pytest

import chainrule
from chainrule import links as L
from chainrule import optimizers, schedules, serializers
from chainrule._walk import each_param
from small_links import make_link

NEW = r"joined since setup and have no update rule: /new/b, /new/w; .*create_update_rule\(\)"


def steps(optimizer: chainrule.Optimizer, count: int) -> None:
    for _ in range(count):
        for _, param in each_param(optimizer.target):
            param.grad = np.ones_like(param.array)
        optimizer.update()


@pytest.fixture
def optimizer() -> optimizers.SGD:
    net = chainrule.Chain(old=make_link(w=2))
    made = optimizers.SGD(lr=schedules.linear(1.0, 0.0, 10)).setup(net)
    steps(made, 4)
    return made


def join_chain(net):
    with net.init_scope():
        net.new = make_link(w=2, b=1)


def join_add_link(net):
    net.add_link("new", make_link(w=2, b=1))


def join_add_param(net):
    net.add_link("new", chainrule.Link())
    net.new.add_param("w", 2, initializer=0)
    net.new.add_param("b", 1, initializer=0)


@pytest.mark.parametrize("join", [join_chain, join_add_link, join_add_param])
def test_without_a_rule_nothing_moves_and_a_warning_says_so(optimizer, join):
    join(optimizer.target)
    before = [param.array.copy() for param in optimizer.target.new.params()]
    assert optimizer.rules.missing == optimizer.plan().without_rule == ("/new/b", "/new/w")
    with pytest.warns(UserWarning, match=NEW) as caught:
        steps(optimizer, 1)
    assert [w.filename for w in caught] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        steps(optimizer, 1)  # once for each change of the link
    for param, was in zip(optimizer.target.new.params(), before, strict=True):
        np.testing.assert_array_equal(param.array, was)
        assert param.update_rule is None


def test_a_rule_that_was_taken_away_is_meant(optimizer):
    join_chain(optimizer.target)
    optimizer.target.new.w.update_rule = None
    optimizer.target.new.b.update_rule = optimizer.create_update_rule()
    optimizer.target.old.w.update_rule = None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        steps(optimizer, 1)
    assert optimizer.target.new.b.update_rule.t == 1


def test_chainer_says_nothing(optimizer):
    with chainrule.using_config("chainer_semantics", True), warnings.catch_warnings():
        warnings.simplefilter("error")
        join_chain(optimizer.target)
        optimizer.target.new.w.array[:] = 2
        steps(optimizer, 1)
    assert optimizer.target.new.w.update_rule is None
    np.testing.assert_array_equal(optimizer.target.new.w.array, 2)


def containers():
    yield chainrule.ChainList(make_link(w=1)), lambda net, link: net.add_link(link), "/1"
    yield chainrule.ChainList(make_link(w=1)), lambda net, link: net.insert(0, link), "/0"
    yield chainrule.ChainList(make_link(w=1)), lambda net, link: net.__setitem__(0, link), "/0"
    yield chainrule.Sequential(L.Linear(1, 1)), lambda net, link: net.append(link), "/1"
    yield chainrule.Sequential(L.Linear(1, 1)), lambda net, link: net.extend([link]), "/1"
    yield chainrule.Chain(old=make_link(w=1)), lambda net, link: net.add_link("new", link), "/new"
    yield chainrule.Chain(), lambda net, link: net.add_link("new", link), "/new"


@pytest.mark.parametrize("semantics", [False, True])
@pytest.mark.parametrize("case", range(7))
def test_a_rule_follows_the_optimizers_count_at_once(case, semantics):
    net, join, path = list(containers())[case]
    with chainrule.using_config("chainer_semantics", semantics):
        optimizer = optimizers.SGD().setup(net)
        optimizer.t = 5
        inner = chainrule.Chain(deep=make_link(w=2))
        join(net, inner)
        inner.deep.add_param("late", 1, initializer=0)
        for param in inner.params():
            # A rule of another optimizer, whose own count is 0.
            rate = schedules.linear(1.0, 0.0, 10)
            param.update_rule = optimizers.MomentumSGD(lr=rate).create_update_rule()
            assert param.update_rule.hyperparam.lr == 0.5
            param.update_rule.enabled = schedules.after(5)
            assert param.update_rule.enabled
            assert not param.frozen
        assert optimizer.rules[f"{path}/**"].paths == (f"{path}/deep/late", f"{path}/deep/w")
        steps(optimizer, 1)
        assert [param.update_rule.t for param in inner.params()] == [1, 1]
        assert inner.deep.w.update_rule.hyperparam.lr == 0.4


def test_another_optimizers_parameters_keep_their_count(optimizer):
    other = optimizers.SGD().setup(make_link(w=1))
    other.t = 7
    with optimizer.target.init_scope():
        optimizer.target.shared = other.target
    other.target.w.update_rule.hyperparam.lr = schedules.step * 1.0
    assert other.target.w.update_rule.hyperparam.lr == 7


def test_selections_plans_and_files_know_it(optimizer):
    head = optimizer.rules["/**/w"]
    join_chain(optimizer.target)
    optimizer.target.new.disable_update()
    with pytest.raises(KeyError, match="/new/w has no update rule: assign one"):
        optimizer.rules["/new/w"]
    for param in optimizer.target.new.params():
        param.update_rule = optimizer.create_update_rule()
    assert head.paths == ("/new/w", "/old/w")
    assert not optimizer.target.new.w.update_rule.enabled  # as was said before it had a rule
    optimizer.rules["/new/*"].enabled = True
    optimizer.rules["/new/*"].hyperparam.lr = chainrule.inherit * 0.5
    assert optimizer.explain("/new/w", "lr") == (
        "0.3 = inherit(0.6 = linear(1.0, 0.0, 10) at step 4) * 0.5, set by rules['/new/*']"
    )
    steps(optimizer, 2)
    file = io.BytesIO()
    serializers.save_npz(file, optimizer)
    file.seek(0)
    other = optimizers.SGD().setup(chainrule.Chain(old=make_link(w=2)))
    join_chain(other.target)  # without rules: the file has them
    report = serializers.load_npz(file, other)
    assert report.replaced == ["/new/b: no rule -> SGD", "/new/w: no rule -> SGD"]
    assert other.plan().to_dict() == optimizer.plan().to_dict()
    assert other.target.new.w.update_rule.t == 2


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_go_their_own_way(optimizer, clone):
    other = clone(optimizer)
    join_chain(other.target)
    other.target.new.w.update_rule = optimizers.MomentumSGD().create_update_rule()
    other.target.new.w.update_rule.hyperparam.lr = schedules.step * 1.0
    other.t, optimizer.t = 20, 30
    assert other.target.new.w.update_rule.hyperparam.lr == 20
