"""Plans: what they say before anything is allocated."""

from __future__ import annotations

import json

import numpy as np
import pytest

import chainrule
from chainrule import links as L
from chainrule import optimizer_hooks, optimizers
from small_links import make_link


def test_before_setup_nothing_is_touched():
    net = chainrule.Chain(l1=L.Linear(None, 3), l2=L.Linear(3, 1))
    net.l2.disable_update()
    net.l1.W.update_rule = optimizers.SGD().create_update_rule()
    net.l1.W.update_rule.add_hook(optimizer_hooks.WeightDecay(0.1))
    before = net.l1.W.update_rule
    optimizer = optimizers.Adam(alpha=0.01)
    plan = optimizer.plan(net)
    assert (
        str(plan)
        == """\
path   shape   dtype    algorithm  values      hooks        enabled  state
/l1/W  ?       float32  Adam       alpha=0.01  WeightDecay  yes      ?
/l1/b  (3,)    float32  Adam       alpha=0.01               yes      24 B
/l2/W  (1, 3)  float32  Adam       alpha=0.01               no       24 B
/l2/b  (1,)    float32  Adam       alpha=0.01               no       8 B
4 parameters, 7 elements, at least 56 B of state, 1 without an array yet
without an array: /l1/W"""
    )
    assert repr(plan).startswith("<Plan: 4 parameters, 7 elements")
    assert optimizer.target is None
    assert net.l1.W.update_rule is before
    assert [param.update_rule for param in net.params()] == [before, None, None, None]
    assert not net.l1.W.is_initialized
    assert (plan.total_bytes, plan.uninitialized, plan.without_rule, plan.tied) == (
        56,
        ("/l1/W",),
        (),
        (),
    )
    # What was foretold is what setup does.
    optimizer.setup(net)
    assert str(optimizer.plan()) == str(plan)
    assert optimizer.plan().to_dict() == plan.to_dict()
    assert all(param.update_rule.state is None for param in net.params())


def test_tied_and_without_rule():
    net = chainrule.Chain(a=make_link(w=2), b=make_link(v=3))
    with net.b.init_scope():
        net.b.w = net.a.w
    optimizer = optimizers.MomentumSGD().setup(net)
    net.b.v.update_rule = None
    plan = optimizer.plan()
    assert plan.tied == (("/a/w", "/b/w"),)
    assert plan.without_rule == ("/b/v",)
    assert plan.total_bytes == 8
    assert "tied: /a/w = /b/w\nwithout a rule: /b/v" in str(plan)
    assert [line.split() for line in str(plan).split("\n")[1:3]] == [
        ["/a/w", "=", "/b/w", "(2,)", "float32", "MomentumSGD", "lr=0.01", "yes", "8", "B"],
        ["/b/v", "(3,)", "float32", "no", "rule", "0", "B"],
    ]
    data = plan.to_dict()
    assert data["tied"] == [["/a/w", "/b/w"]]
    assert data["without_rule"] == ["/b/v"]
    assert data["rules"]["/a/w"]["tied"] == ["/b/w"]
    assert list(data["rules"]) == ["/a/w"]


def test_chainers_setup_forgets_and_so_does_its_plan():
    link = make_link(w=1)
    optimizer = optimizers.SGD().setup(link)
    link.w.update_rule.add_hook(optimizer_hooks.WeightDecay(1))
    assert optimizer.plan(link).rows[0].hooks == ("WeightDecay",)
    with chainrule.using_config("chainer_semantics", True):
        assert optimizer.plan(link).rows[0].hooks == ()


def test_plain_data():
    net = chainrule.Chain(l1=make_link(W=(3, 2), b=3))
    optimizer = optimizers.SGD(lr=0.5).setup(net)
    adam, decay = optimizers.Adam(alpha=0.25), optimizer_hooks.WeightDecay(0.125)
    optimizer.rules["/l1/W"].use(adam)
    optimizer.rules["/l1/W"].hyperparam.update(beta1=0.5, amsgrad=True)
    optimizer.rules.add_hook(decay)
    optimizer.rules["/l1/b"].enabled = False
    optimizer.rules["/l1/b"].fp32_update = True
    data = optimizer.plan().to_dict()
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    parent = data["parents"][0]
    assert (parent["algorithm"], parent["parent"]) == ("Adam", None)
    assert parent["values"]["alpha"] == 0.25
    place = {"name": "WeightDecay", "timing": "pre", "hook": 0}
    assert data["rules"] == {
        "/l1/W": {
            "algorithm": "Adam",
            "parent": 0,
            "values": {"beta1": 0.5, "amsgrad": True},
            "origins": {"beta1": "rules['/l1/W']", "amsgrad": "rules['/l1/W']"},
            "hooks": [place],
            "shape": [3, 2],
            "dtype": "float32",
            "tied": [],
            "state_bytes": 72,
        },
        "/l1/b": {
            "algorithm": "SGD",
            "enabled": False,
            "origins": {"enabled": "rules['/l1/b']"},
            "hooks": [place],
            "policies": {"fp32_update": True},
            "shape": [3],
            "dtype": "float32",
            "tied": [],
            "state_bytes": 0,
        },
    }
    assert data["hooks"] == [{"kind": "WeightDecay", "arguments": {"rate": 0.125}}]
    assert data["optimizer"] == {
        "class": "SGD",
        "algorithm": "SGD",
        "values": {"lr": 0.5},
        "hooks": [],
    }
    assert data["total_bytes"] == 72


def test_a_plan_is_a_picture():
    link = make_link(w=1)
    optimizer = optimizers.SGD(lr=0.5).setup(link)
    plan = optimizer.plan()
    optimizer.rules.hyperparam.lr = 7.0
    plan.to_dict()["rules"]["/w"]["values"] = {"lr": 9}
    assert "values" not in plan.to_dict()["rules"]["/w"]
    assert plan.rows[0].values == {"lr": 0.5}


def test_not_set_up():
    with pytest.raises(RuntimeError, match="SGD is not set up: give a link"):
        optimizers.SGD().plan()

    class Own(chainrule.Optimizer):
        pass

    with pytest.raises(NotImplementedError, match="Own"):
        Own().plan(make_link(w=1))


def test_no_state_is_allocated_for_a_large_plan():
    link = chainrule.Link()
    with link.init_scope():
        # A terabyte of float64 that is never touched.
        huge = np.lib.stride_tricks.as_strided(np.zeros(1), (1 << 20, 1 << 17), (0, 0))
        link.w = chainrule.Parameter(huge)
    assert optimizers.Adam().plan(link).total_bytes == 2 << 40
