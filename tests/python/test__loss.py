"""Gradients of a loss: of what is on, and of all that Chainer computes."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule
from chainrule import functions as F
from chainrule import optimizer_hooks, optimizers
from chainrule import schedules as S
from small_links import make_link

chainer_semantics = chainrule.using_config("chainer_semantics", True)


def squares(link):
    return lambda: sum(F.sum(param * param) for param in link.params())


@pytest.mark.parametrize(("when", "updated"), [(S.after(2), [3, 4]), (S.every(2), [1, 3])])
def test_a_step_in_which_all_is_off_counts(when, updated):
    link = make_link(w=3)
    link.w.array[...] = 1
    optimizer = optimizers.SGD(lr=0.25).setup(link)
    optimizer.rules.enabled = when
    moved = []
    for step in range(1, 5):
        before = link.w.array.copy()
        optimizer.update(squares(link))
        assert optimizer.t == step
        if not np.array_equal(before, link.w.array):
            moved.append(step)
    assert moved == updated


@pytest.mark.parametrize(
    "hooks", [(), (optimizer_hooks.SAM(),), (optimizer_hooks.GradientNoise(1),)]
)
def test_a_link_that_is_frozen(hooks):
    link = make_link(a=2, b=2)
    optimizer = optimizers.Adam().setup(link)
    for hook in hooks:
        optimizer.add_hook(hook)
    optimizer.update(squares(link))
    link.disable_update()
    optimizer.update(squares(link))
    optimizer.update(squares(link))
    assert optimizer.t == 3
    assert [param.update_rule.t for param in link.params()] == [1, 1]
    # The gradients of the step before are not those of this one.
    assert [param.grad for param in link.params()] == [None, None]
    link.enable_update()
    optimizer.update(squares(link))
    assert [param.update_rule.t for param in link.params()] == [2, 2]


def test_a_loss_of_nothing_that_is_on():
    link = make_link(a=2, b=2)
    optimizer = optimizers.SGD().setup(link)
    constant = chainrule.Variable(np.array(3, np.float32), requires_grad=False)
    with pytest.raises(RuntimeError, match="this variable has no graph"):
        optimizer.update(lambda: constant)
    link.a.update_rule.enabled = False
    for loss in (lambda: constant, lambda: F.sum(link.a)):
        with pytest.raises(RuntimeError, match=r"expected one of parameters that are on; off: /a$"):
            optimizer.update(loss)
    assert optimizer.t == 0
    optimizer.update(squares(link))
    assert (optimizer.t, link.a.update_rule.t, link.b.update_rule.t) == (1, 0, 1)


@pytest.mark.parametrize("when", ["before", "inside"])
@pytest.mark.parametrize("every", [False, True])
def test_chainer_computes_gradients_of_what_is_off(when, every):
    link = make_link(a=2, b=2)
    optimizer = optimizers.SGD().setup(link)
    off = list(link.params()) if every else [link.a]
    link.a.array[...] = 1
    before = link.a.array.copy()

    def switch_off():
        for param in off:
            param.update_rule.enabled = False

    if when == "before":
        switch_off()
    with chainer_semantics:
        if when == "inside":
            switch_off()
        optimizer.update(squares(link))
        np.testing.assert_array_equal(link.a.grad, [2, 2])
    np.testing.assert_array_equal(link.a.array, before)
    assert optimizer.t == 1
    assert link.a.frozen == (when == "before")
    if when == "before" and not every:  # and without the switch none again
        optimizer.update(squares(link))
        assert link.a.grad is None


def test_what_chainers_switch_finds_off_can_be_switched_on():
    link = make_link(a=2)
    link.a.array[...] = 1
    optimizer = optimizers.SGD(lr=0.25).setup(link)
    link.a.update_rule.enabled = False

    def loss():
        link.a.update_rule.enabled = True
        return squares(link)()

    with chainer_semantics:
        optimizer.update(loss)
    np.testing.assert_array_equal(link.a.array, [0.5, 0.5])
    assert not link.a.frozen
    link.a.update_rule.enabled = False
    link.cleargrads()
    with chainer_semantics:
        link.a.update_rule.enabled = True
        squares(link)().backward()
    np.testing.assert_array_equal(link.a.grad, [1, 1])
