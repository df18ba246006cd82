"""Transactions take updates back, bit for bit."""

from __future__ import annotations

import copy

import ml_dtypes
import numpy as np
import pytest

import chainrule
from chainrule import _core, optimizer_hooks, optimizers
from small_links import make_link


def contents(link, optimizer):
    out = {"t": optimizer.t}
    for path, param in link.namedparams():
        rule = param.update_rule
        out[path] = param.array.tobytes()
        out[f"{path} rule"] = (rule.t, tuple(rule._scalars.items()))
        for name, state in (rule.state or {}).items():
            out[f"{path} {name}"] = state.tobytes()
    return out


def step(link, optimizer, seed):
    rng = np.random.default_rng(seed)
    for param in link.params():
        param.grad = rng.standard_normal(param.shape).astype(param.dtype)
    optimizer.update()


@pytest.mark.parametrize("steps_before", [0, 2])
@pytest.mark.parametrize("name", _core.update_rules())
def test_raises_and_is_as_before(name, steps_before):
    optimizer = getattr(optimizers, name)()
    link = chainrule.Link()
    with link.init_scope():
        link.w = chainrule.Parameter(np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4))
        link.h = chainrule.Parameter(np.ones((2, 2), ml_dtypes.bfloat16))
    optimizer.use_fp32_update()
    optimizer.setup(link)
    for seed in range(steps_before):
        step(link, optimizer, seed)
    before, memory = contents(link, optimizer), link.w.array

    def fail():
        with optimizer.transaction():
            step(link, optimizer, 10)
            step(link, optimizer, 11)
            assert contents(link, optimizer) != before
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert contents(link, optimizer) == before
    assert link.w.array is memory
    # And it goes on as if nothing had happened.
    twin_optimizer = getattr(optimizers, name)()
    twin_optimizer.use_fp32_update()
    twin = chainrule.Link()
    with twin.init_scope():
        twin.w = chainrule.Parameter(np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4))
        twin.h = chainrule.Parameter(np.ones((2, 2), ml_dtypes.bfloat16))
    twin_optimizer.setup(twin)
    for seed in range(steps_before):
        step(twin, twin_optimizer, seed)
    step(link, optimizer, 20)
    step(twin, twin_optimizer, 20)
    assert contents(link, optimizer) == contents(twin, twin_optimizer)


def test_rollback_and_keeping():
    link = make_link(w=3)
    optimizer = optimizers.Adam().setup(link)
    with optimizer.transaction() as transaction:
        step(link, optimizer, 0)
        transaction.rollback()
        assert (link.w.array == 0).all()
        assert optimizer.t == 0
        step(link, optimizer, 0)
    assert optimizer.t == 1
    assert (link.w.array != 0).all()
    with pytest.raises(RuntimeError, match="outside the block"):
        transaction.rollback()
    with pytest.raises(RuntimeError, match="not set up"), optimizers.SGD().transaction():
        pass


def test_another_rule_and_a_late_array_go_too():
    link = chainrule.Link()
    with link.init_scope():
        link.w = chainrule.Parameter(0.5)
    optimizer = optimizers.SGD().setup(link)
    rule = link.w.update_rule

    def fail():
        with optimizer.transaction():
            link.w.initialize((2,))
            link.w.update_rule = optimizers.Adam().create_update_rule()
            step(link, optimizer, 0)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert link.w.array is None
    assert link.w.update_rule is rule


@pytest.mark.parametrize("hook", [optimizer_hooks.EMA(0.5), optimizer_hooks.Lookahead(0.5, 2)])
@pytest.mark.parametrize("steps_before", [0, 3])
@pytest.mark.parametrize("on_rule", [False, True])
def test_what_hooks_keep_is_taken_back_too(hook, steps_before, on_rule):
    ends = []
    for detours in (0, 2):
        link = make_link(w=3)
        link.w.array[...] = 1
        optimizer = optimizers.SGD(lr=0.5).setup(link)
        (link.w.update_rule if on_rule else optimizer).add_hook(hook)
        for seed in range(steps_before):
            step(link, optimizer, seed)
        with optimizer.transaction() as transaction:
            for _ in range(detours):
                for seed in range(5):
                    step(link, optimizer, 100 + seed)
                transaction.rollback()
        for seed in range(3):
            step(link, optimizer, 50 + seed)
        kept = {n: a.tobytes() for n, a in link.w.update_rule._hook_states[hook.name].items()}
        ends.append((contents(link, optimizer), kept))
    assert ends[0] == ends[1]


def test_gradients_and_what_hooks_keep_go_back_too():
    link = make_link(w=3)
    optimizer = optimizers.SGD(lr=0.5).setup(link)
    optimizer.add_hook(optimizer_hooks.EMA(0.5))
    link.w.update_rule.add_hook(optimizer_hooks.Lookahead(0.5, 2))
    step(link, optimizer, 0)
    rule, grad = link.w.update_rule, link.w.grad
    rule.on_nonfinite = "skip_param"
    before = grad.copy(), {k: dict(v) for k, v in copy.deepcopy(rule._hook_states).items()}
    with optimizer.transaction() as transaction:
        grad[...] = np.nan
        optimizer.update()
        assert rule.skipped == 1
        step(link, optimizer, 1)
        assert not np.array_equal(optimizer_hooks.EMA.average_of(rule), before[1]["EMA"]["average"])
        transaction.rollback()
    assert link.w.grad is grad
    np.testing.assert_array_equal(grad, before[0])
    np.testing.assert_equal(rule._hook_states, before[1])
    assert rule.skipped == 0
    # It goes on like one that was never disturbed.
    twin = make_link(w=3)
    other = optimizers.SGD(lr=0.5).setup(twin)
    other.add_hook(optimizer_hooks.EMA(0.5))
    twin.w.update_rule.add_hook(optimizer_hooks.Lookahead(0.5, 2))
    step(twin, other, 0)
    for seed in (1, 2):
        step(link, optimizer, seed)
        step(twin, other, seed)
    np.testing.assert_array_equal(link.w.array, twin.w.array)
    np.testing.assert_equal(rule._hook_states, twin.w.update_rule._hook_states)


def test_a_layer_that_lost_its_array_again_finds_its_size_anew():
    net = chainrule.Chain(l1=chainrule.links.Linear(None, 2))
    optimizer = optimizers.Adam().setup(net)
    for size in (3, 4):
        x = np.ones((1, size), np.float32)
        with optimizer.transaction() as transaction:
            optimizer.update(lambda: chainrule.functions.sum(net.l1(x)))  # noqa: B023
            transaction.rollback()
        assert not net.l1.W.is_initialized
    optimizer.update(lambda: chainrule.functions.sum(net.l1(x)))
    assert net.l1.W.shape == (2, 4)
    assert net.l1.in_size == 4


def averaging(steps=3):
    link = make_link(w=3)
    link.w.array[...] = 1
    optimizer = optimizers.ScheduleFreeSGD(lr=0.5).setup(link)
    for seed in range(steps):
        step(link, optimizer, seed)
    return link, optimizer


def test_averages_are_not_mixed_with_values():
    link, optimizer = averaging()
    before = contents(link, optimizer)
    with optimizer.transaction() as transaction:
        step(link, optimizer, 9)
        after = contents(link, optimizer)
        with optimizer.averaged():
            held = contents(link, optimizer)
            with pytest.raises(RuntimeError, match=r"leave the block of averaged\(\) first"):
                transaction.rollback()
            assert contents(link, optimizer) == held
        assert contents(link, optimizer) == after
        transaction.rollback()
    assert contents(link, optimizer) == before


def test_blocks_that_overlap_are_refused():
    link, optimizer = averaging()
    before = contents(link, optimizer)
    averages, transaction = optimizer.averaged(), optimizer.transaction()
    averages.__enter__()
    transaction.__enter__()
    averages.__exit__(None, None, None)
    step(link, optimizer, 9)
    after = contents(link, optimizer)
    assert after != before
    for again in (False, True):
        with pytest.raises(RuntimeError, match=r"began in a block of averaged\(\) that has been"):
            transaction.rollback()
        assert contents(link, optimizer) == after
        if not again:  # another block is another thing
            averages = optimizer.averaged()
            averages.__enter__()
            after = contents(link, optimizer)
    averages.__exit__(None, None, None)
    transaction.__exit__(None, None, None)
    # The other way round the transaction can be taken back once the averages are gone.
    transaction = optimizer.transaction().__enter__()
    before = contents(link, optimizer)
    step(link, optimizer, 10)
    with optimizer.averaged(), pytest.raises(RuntimeError, match="leave the block"):
        transaction.__exit__(KeyError, KeyError(), None)
    transaction.rollback()
    assert contents(link, optimizer) == before


def test_a_transaction_may_lie_in_a_block_of_averages():
    link, optimizer = averaging()
    before = contents(link, optimizer)
    with optimizer.averaged():
        held = contents(link, optimizer)
        with optimizer.transaction() as transaction, optimizer.averaged():
            link.w.array[...] = 0
            transaction.rollback()
            assert contents(link, optimizer) == held
    assert contents(link, optimizer) == before


def test_a_rule_that_comes_back_is_on_if_it_was():
    link = chainrule.Link(w=2)
    link.w.array[:] = 1
    optimizer = optimizers.SGD().setup(link)
    before = link.w.update_rule
    with optimizer.transaction() as transaction:
        optimizer.rules["/w"].use(optimizers.Adam())
        link.w.update_rule.enabled = False
        transaction.rollback()
    assert link.w.update_rule is before
    assert before.enabled
    assert not link.w.frozen
