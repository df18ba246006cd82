"""What selections do to all of their rules or to none; hooks and `use`: test_selection.py."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule
from chainrule import optimizers
from chainrule.optimizer_hooks import Cautious
from small_links import make_link


def test_park():
    link = make_link(a=2, b=2, c=2)
    optimizer = optimizers.Adam().setup(link)
    for param in link.params():
        param.grad = np.ones_like(param.array)
    optimizer.update()
    paths = optimizer.rules.paths
    first, second = optimizer.rules[paths[0]], optimizer.rules[paths[1]]
    first.enabled = False
    with pytest.raises(RuntimeError, match=rf"the rule is on: {paths[1]}: set enabled .*nothing"):
        (first | second).park("drop")
    with pytest.raises(ValueError, match="no such choice: got 'disk'"):
        first.park("disk")
    assert all(rule.state for rule in optimizer.rules)
    second.enabled = False
    (first | second).park("drop")
    assert [rule.state is None for rule in optimizer.rules][:2] == [True, True]
    assert [rule.t for rule in first | second] == [0, 0]
    with pytest.raises(KeyError, match="selects nothing"):
        (first & second).park()


class InPython(chainrule.UpdateRule):
    """A rule that the core does not know."""

    def update_core_cpu(self, param):
        param.array[...] -= param.grad


def test_a_hook_that_would_do_nothing_is_added_to_no_rule():
    link = make_link(a=2, b=2)
    optimizer = optimizers.SGD().setup(link)
    link.b.update_rule = InPython()
    with pytest.raises(TypeError, match=r"\[rules\] /b: \[Cautious\] InPython updates in Python"):
        optimizer.rules.add_hook(Cautious())
    assert [rule.hooks for rule in optimizer.rules] == [{}, {}]


def test_a_rule_on_which_a_kept_hook_would_do_nothing_is_not_used():
    link = make_link(a=2, b=2)
    optimizer = optimizers.SGD().setup(link)
    plan = optimizer.plan().to_dict()
    link.b.update_rule.add_hook(Cautious())
    rules = list(optimizer.rules)
    with pytest.raises(TypeError, match=r"\[use\] /b: \[Cautious\] InPython updates in Python"):
        optimizer.rules.use(InPython)
    assert list(optimizer.rules) == rules
    # The same by a plan.
    name = f"{__name__}.InPython"
    other = optimizers.SGD().setup(make_link(a=2, b=2))
    cautious = optimizer.plan().to_dict()
    cautious["rules"]["/b"] |= {"algorithm": name, "values": {}}
    with pytest.raises(TypeError, match=r"/b: hook 'Cautious': \[Cautious\] InPython updates in P"):
        other.apply_plan(cautious, algorithms={name: InPython})
    assert other.plan().to_dict() == plan
