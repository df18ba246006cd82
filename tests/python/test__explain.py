"""What is said of where a value comes from."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule
from chainrule import optimizers
from chainrule.schedules import after, cosine, inherit, step
from small_links import make_link


def test_every_origin():
    link = make_link(a=1, b=1, c=1)
    optimizer = optimizers.MomentumSGD(lr=cosine(6e-4, 0.0, 2400)).setup(link)
    optimizer.t = 1200
    a, b = link.a.update_rule, link.b.update_rule
    explain = optimizer.explain
    a.hyperparam._set("lr", inherit * 0.1, "rules['/encoder/**']")
    assert explain("/a", "lr") == (
        "3e-05 = inherit(0.0003 = cosine(0.0006, 0.0, 2400) at step 1200) * 0.1, "
        "set by rules['/encoder/**']"
    )
    assert (
        explain("/b", "lr") == "0.0003 = cosine(0.0006, 0.0, 2400) at step 1200, from the optimizer"
    )
    assert explain("/b", "momentum") == "0.9, from the optimizer"
    b.hyperparam.momentum = 0.5
    assert explain("/b", "momentum") == "0.5, set on the rule"
    b.hyperparam.momentum = np.float32(0.25)
    assert explain("/b", "momentum") == "0.25, set on the rule"
    b.hyperparam.lr = inherit + step / 1200
    assert explain("/b", "lr") == (
        "1.0003 = inherit(0.0003 = cosine(0.0006, 0.0, 2400) at step 1200) + step / 1200.0 "
        "at step 1200, set on the rule"
    )
    optimizer.hyperparam._set("lr", 0.5, "plan")
    assert explain("/c", "lr") == "0.5, set by plan on the optimizer"
    assert explain("/a", "lr") == "0.05 = inherit(0.5) * 0.1, set by rules['/encoder/**']"
    # A rule of its own, whose values are the defaults, and one of another optimizer.
    link.c.update_rule = optimizers.adam.AdamRule()
    assert explain("/c", "alpha") == "0.001, the default of Adam"
    assert explain("/c", "amsgrad") == "False, the default of Adam"
    link.c.update_rule = optimizers.SGD(lr=2).create_update_rule()
    assert explain("/c", "lr") == "2, from a parent"


def test_enabled():
    link = make_link(a=1)
    optimizer = optimizers.SGD().setup(link)
    rule = link.a.update_rule
    assert optimizer.explain("/a", "enabled") == "True"
    rule.enabled = False
    assert optimizer.explain("/a", "enabled") == "False, set on the rule"
    rule._set_enabled(after(1000), "rules['/a']")
    optimizer.t = 1200
    assert (
        optimizer.explain("/a", "enabled") == "True = after(1000) at step 1200, set by rules['/a']"
    )
    optimizer.setup(link)
    assert optimizer.explain("/a", "enabled") == "False = after(1000) at step 0, set by rules['/a']"


def test_values_of_a_users_rule():
    link = make_link(a=1)
    optimizer = optimizers.SGD().setup(link)
    rule = link.a.update_rule = chainrule.UpdateRule()
    rule.hyperparam.mode = "fast"
    assert optimizer.explain("/a", "mode") == "'fast', set on the rule"


def test_what_is_not_there():
    link = make_link(weight=1)
    optimizer = optimizers.SGD()
    with pytest.raises(RuntimeError, match="SGD is not set up"):
        optimizer.explain("/weight", "lr")
    optimizer.setup(link)
    with pytest.raises(
        KeyError, match=r"no such parameter: got '/wieght'; did you mean '/weight'\?"
    ):
        optimizer.explain("/wieght", "lr")
    with pytest.raises(AttributeError, match=r"no hyperparameter 'lrr'; did you mean 'lr'\?"):
        optimizer.explain("/weight", "lrr")
    link.weight.update_rule = None
    with pytest.raises(KeyError, match="/weight has no update rule"):
        optimizer.explain("/weight", "lr")


def test_what_is_no_path():
    link = make_link(w=1)
    optimizer = optimizers.SGD().setup(link)
    with pytest.raises(TypeError, match=r"\[explain\] got Parameter and str, expected the path"):
        optimizer.explain(link.w, "lr")
