"""What selections do to all of their rules or to none; hooks and `use`: test_selection.py."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import optimizers
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
