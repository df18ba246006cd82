"""Hyperparameters of many rules: one value for all, all or none."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule
from chainrule import optimizers, schedules
from small_links import make_link


@pytest.fixture
def link():
    return make_link(a=1, b=1, c=1)


@pytest.fixture
def rules(link):
    rules = optimizers.SGD(lr=0.1).setup(link).rules
    rules["/b"].use(optimizers.MomentumSGD(lr=0.2))
    return rules


def test_reading(rules):
    assert rules["/a", "/c"].hyperparam.lr == 0.1
    assert rules["/b"].hyperparam.momentum == 0.9
    message = (
        r"hyperparam.lr is not the same for all 3 selected: got 0.1 \(/a, /c\), 0.2 \(/b\); "
        r".get\('lr'\) gives each"
    )
    with pytest.raises(ValueError, match=message):
        _ = rules.hyperparam.lr
    assert rules.hyperparam.get("lr") == {"/a": 0.1, "/b": 0.2, "/c": 0.1}
    assert rules.hyperparam.get("momentum", None) == {"/a": None, "/b": 0.9, "/c": None}
    assert rules.hyperparam.get_dict()["/b"] == {"lr": 0.2, "momentum": 0.9}
    with pytest.raises(AttributeError, match="/a: SGD has no hyperparameter 'momentum'; known: lr"):
        _ = rules.hyperparam.momentum
    assert repr(rules.hyperparam) == "rules.hyperparam(lr=<differs>, momentum=<differs>)"
    assert repr(rules["/b"].hyperparam) == "rules['/b'].hyperparam(lr=0.2, momentum=0.9)"
    assert {"lr", "momentum", "get"} <= set(dir(rules.hyperparam))
    assert not hasattr(rules.hyperparam, "__len__")
    with pytest.raises(ValueError, match="nothing is selected"):
        _ = (rules["/a"] & rules["/b"]).hyperparam.lr


def test_nan_and_arrays_are_the_same_as_themselves(link):
    class Rule(chainrule.UpdateRule):
        def update_core(self, param):
            pass

    for param in link.params():
        param.update_rule = Rule()
        param.update_rule.hyperparam.x = float("nan")
        param.update_rule.hyperparam.y = np.array([1.0, 2.0])
    optimizer = optimizers.SGD()
    optimizer.target = link
    assert np.isnan(optimizer.rules.hyperparam.x)
    np.testing.assert_array_equal(optimizer.rules.hyperparam.y, [1, 2])
    link.a.update_rule.hyperparam.y = np.ones(3)
    with pytest.raises(ValueError, match="not the same"):
        _ = optimizer.rules.hyperparam.y
    # A rule written in Python knows what can be read from it.
    optimizer.rules.hyperparam.x = 3
    assert link.b.update_rule.hyperparam.x == 3
    with pytest.raises(AttributeError, match=r"test_values.*Rule has no hyperparameter 'z'"):
        optimizer.rules.hyperparam.z = 3


def test_setting_on_all_or_none(link, rules):
    rules.hyperparam.lr = 0.5
    assert [rule.hyperparam.lr for rule in rules] == [0.5, 0.5, 0.5]
    link.c.update_rule.hyperparam.lr = 0.25
    before = rules.hyperparam.own()
    for change, error, message in (
        (lambda h: setattr(h, "momentum", 1), AttributeError, "/a: SGD has no hyperparameter 'mom"),
        (lambda h: setattr(h, "lrr", 1), AttributeError, "/a: SGD .*'lrr'; did you mean 'lr'"),
        (lambda h: setattr(h, "lr", "0.1"), TypeError, "/a: .*'lr' of SGD is no number: got '0.1'"),
        (lambda h: h.update(lr=0.125, lrr=1), AttributeError, "'lrr'"),
        (lambda h: delattr(h, "momentum"), AttributeError, "/a: SGD has no hyperparameter"),
    ):
        with pytest.raises(error, match=message):
            change(rules.hyperparam)
        assert rules.hyperparam.own() == before
    with pytest.raises(TypeError, match="is no number"):
        rules["/b"].hyperparam.update(lr=0.75, momentum="much")
    assert rules.hyperparam.own() == before
    rules["/b"].hyperparam.update(lr=0.75, momentum=0.5)
    assert link.b.update_rule.hyperparam.get_dict() == {"lr": 0.75, "momentum": 0.5}


def test_deleting(link, rules):
    rules["/a", "/b"].hyperparam.lr = 0.5
    del rules.hyperparam.lr
    assert rules.hyperparam.get("lr") == {"/a": 0.1, "/b": 0.2, "/c": 0.1}
    with pytest.raises(AttributeError, match="hyperparameter 'lr' is set on none of rules"):
        del rules.hyperparam.lr


def test_set_values_are_used_and_followed():
    link = make_link(a=1, b=1)
    optimizer = optimizers.SGD(lr=1).setup(link)
    optimizer.rules["/a"].hyperparam.lr = 10.0
    optimizer.update()
    assert (link.a.array[0], link.b.array[0]) == (-10, -1)
    del optimizer.rules.hyperparam.lr
    optimizer.lr = 2.0
    optimizer.update()
    assert (link.a.array[0], link.b.array[0]) == (-12, -3)


def test_expressions(link):
    optimizer = optimizers.SGD(lr=0.5).setup(link)
    rules = optimizer.rules
    rules["/a", "/b"].hyperparam.lr = chainrule.inherit * schedules.linear(1.0, 0.0, 10)
    optimizer.t = 5
    assert rules.hyperparam.get("lr") == {"/a": 0.25, "/b": 0.25, "/c": 0.5}
    optimizer.lr = 1.0
    assert rules["/a", "/b"].hyperparam.lr == 0.5
    assert optimizer.explain("/a", "lr") == (
        "0.5 = inherit(1.0) * linear(1.0, 0.0, 10) at step 5, set by rules['/a', '/b']"
    )
    rules["/a"].enabled = schedules.after(7)
    assert rules.get("enabled") == {"/a": False, "/b": True, "/c": True}
    assert link.a.frozen
    assert optimizer.explain("/a", "enabled") == ("False = after(7) at step 5, set by rules['/a']")
    # What was there before a failed write is there again, with its origin.
    rules["/b"].use(optimizers.Adam())
    for write in (
        lambda: setattr(rules["/a", "/c"].hyperparam, "lr", "x"),
        lambda: rules["/a", "/c"].hyperparam.update(lr=1.0, x=1),
    ):
        with pytest.raises((TypeError, AttributeError)):
            write()
        assert "set by rules['/a', '/b']" in optimizer.explain("/a", "lr")
    del rules["/a"].hyperparam.lr
    assert rules["/a"].hyperparam.lr == 1.0


def test_a_failed_write_puts_expressions_back(link):
    class Refusing(optimizers.sgd.SGDRule):
        def _set_enabled(self, enabled, origin):
            if origin is not None:
                raise ValueError("never")
            super()._set_enabled(enabled, origin)

    optimizer = optimizers.SGD().setup(link)
    optimizer.rules["/a"].enabled = schedules.after(7)
    link.c.update_rule = Refusing()
    before = optimizer.explain("/a", "enabled")
    with pytest.raises(ValueError, match="/c: never"):
        optimizer.rules.enabled = True
    assert optimizer.explain("/a", "enabled") == before
    assert link.a.frozen


def test_a_value_for_each(link, rules):
    seen = rules.hyperparam.get("lr")
    rules.hyperparam.lr = 0.5
    rules.hyperparam.set_each("lr", seen)
    assert rules.hyperparam.get("lr") == seen
    rules.hyperparam.set_each("lr", lambda path, param: param.size / 8 + (path == "/c"))
    assert rules.hyperparam.get("lr") == {"/a": 0.125, "/b": 0.125, "/c": 1.125}
    rules["/a", "/c"].hyperparam.set_each("lr", {"/a": chainrule.inherit * 2, "/c": 3})
    explain = rules._optimizer.explain
    assert explain("/a", "lr") == "0.2 = inherit(0.1) * 2.0, set by rules['/a', '/c']"
    assert explain("/c", "lr") == "3, set by rules['/a', '/c']"
    with link.init_scope():
        link.tied = link.a
    rules["/a"].hyperparam.set_each("lr", {"/tied": 0.25})
    assert link.a.update_rule.hyperparam.lr == 0.25


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"/a": 1, "/b": 2}, KeyError, r"set_each: no value of 'lr' for /c"),
        (
            {"/a": 1, "/b": 2, "/c": 3, "/C": 4},
            KeyError,
            r"set_each: rules does not select '/C'; nearest: '/c'",
        ),
        ({"/a": 1, "/b": 2, "/c": "3"}, TypeError, r"\[rules\] /c: .*'lr'.*got '3'"),
        (lambda path, param: {"/a": 1}[path], KeyError, "'/b'"),
        (lambda path, param: None, TypeError, r"\[rules\] /a: "),
        (0.5, TypeError, "set_each: got float, expected a dict by path or a function of path"),
    ],
)
def test_values_for_each_that_are_refused_change_nothing(rules, values, error, message):
    before = rules.hyperparam.own()
    with pytest.raises(error, match=message):
        rules.hyperparam.set_each("lr", values)
    assert rules.hyperparam.own() == before
    with pytest.raises(AttributeError, match="/a: SGD has no hyperparameter 'momentum'"):
        rules.hyperparam.set_each("momentum", dict.fromkeys(rules.paths, 0.5))
    with pytest.raises(KeyError, match="selects nothing"):
        (rules["/a"] & rules["/b"]).hyperparam.set_each("lr", {})


def test_a_function_of_a_parameter_that_is_open_says_which():
    net = chainrule.Chain(l1=chainrule.links.Linear(2, 3), l2=chainrule.links.Linear(None, 3))
    rules = optimizers.SGD(lr=0.1).setup(net).rules
    with pytest.raises(RuntimeError, match="no data yet") as caught:
        rules.hyperparam.set_each("lr", lambda path, param: 1 / param.shape[-1])
    assert "[rules] set_each stopped at /l2/W" in caught.value.__notes__
    assert rules.hyperparam.lr == 0.1
