"""Statistics of updates: right, for free in bits, and read with clear errors."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule
from chainrule import _core, optimizer_hooks, optimizers
from chainrule._statistics import STATISTICS
from small_links import make_link

DTYPES = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16]

#: What fuses with a step into nothing, a linear program, any program.
HOOKS = {
    "none": [],
    "decay": [optimizer_hooks.WeightDecay(0.01)],
    "decay and clipping": [
        optimizer_hooks.WeightDecay(0.01),
        optimizer_hooks.GradientHardClipping(-1, 1),
    ],
}


def make(size, dtype, optimizer, seed=0):
    rng = np.random.default_rng(seed)
    link = chainrule.Link()
    with link.init_scope():
        link.w = chainrule.Parameter(rng.standard_normal(size).astype(dtype))
    optimizer.setup(link)
    link.w.grad = rng.standard_normal(size).astype(dtype)
    return link


@given(
    st.sampled_from(DTYPES),
    st.sampled_from([1, 15, 16, 17, 255, 4096, 5000]),
    st.sampled_from(["SGD", "MomentumSGD", "Adam"]),
    st.booleans(),
)
def test_against_numpy(dtype, size, name, decay):
    optimizer = getattr(optimizers, name)()
    link = make(size, dtype, optimizer)
    if decay:
        link.w.update_rule.add_hook(optimizer_hooks.WeightDecay(0.25))
    optimizer.observe()
    p = link.w.array.astype(np.float64)
    g = link.w.grad.astype(np.float64) + (0.25 * p if decay else 0)
    optimizer.update()
    statistics = link.w.update_rule.statistics
    assert set(statistics) == set(STATISTICS)
    tolerance = 1e-12 if dtype is np.float64 else 1e-5
    assert statistics["grad_norm"] == pytest.approx(np.linalg.norm(g), rel=tolerance)
    assert statistics["param_norm"] == pytest.approx(np.linalg.norm(p), rel=tolerance)
    assert statistics["max_abs"] == pytest.approx(np.abs(g).max(), rel=tolerance)
    assert (statistics["nonfinite"], statistics.t) == (0, 1)
    ratio = statistics["update_norm"] / statistics["param_norm"]
    assert statistics["update_ratio"] == pytest.approx(ratio)
    change = link.w.array.astype(np.float64) - p
    if np.dtype(dtype).itemsize >= 4:
        assert statistics["update_norm"] == pytest.approx(np.linalg.norm(change), rel=1e-4)
        assert statistics["lost"] == 0
    elif name == "SGD":
        intended = 0.01 * g
        unchanged = int(((change == 0) & (intended != 0)).sum())
        assert abs(statistics["lost"] - unchanged) <= 1 + size // 500
        assert statistics["update_norm"] == pytest.approx(np.linalg.norm(intended), rel=1e-3)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
@pytest.mark.parametrize("hooks", HOOKS)
def test_nonfinite_elements_are_counted(name, hooks):
    optimizer = getattr(optimizers, name)()
    link = make(5000, np.float32, optimizer)
    for hook in HOOKS[hooks]:
        optimizer.add_hook(hook)
    link.w.grad[[3, 77, 4999]] = np.nan, np.inf, -np.inf
    optimizer.observe(link.w.update_rule, ["nonfinite", "max_abs"])
    optimizer.update()
    clipped = "clipping" in hooks  # an infinite gradient is 1 then
    expected = {"nonfinite": 1 if clipped else 3, "max_abs": 1 if clipped else math.inf}
    assert dict(link.w.update_rule.statistics) == expected


@pytest.mark.parametrize("policy", ["skip_param", "skip_step"])
@pytest.mark.parametrize("name", ["SGD", "Prodigy", "Muon"])
def test_an_update_that_is_left_out_has_none(name, policy):
    """Statistics stay those of the last update, with its number; before the first, none."""
    optimizer = getattr(optimizers, name)()
    link = make((3, 2), np.float32, optimizer)
    rule, good = link.w.update_rule, link.w.grad.copy()
    optimizer.observe()
    rule.on_nonfinite = policy
    link.w.grad[0, 0] = np.inf
    optimizer.update()
    assert (dict(rule.statistics), rule.statistics.t) == ({}, 0)
    link.w.grad[...] = good
    optimizer.update()
    before = dict(rule.statistics)
    assert before["grad_norm"] == pytest.approx(np.linalg.norm(good))
    link.w.grad[0, 0] = np.nan
    optimizer.update()
    assert (dict(rule.statistics), rule.statistics.t, rule.skipped) == (before, 1, 2)
    link.w.grad[...] = 2 * good
    optimizer.update()
    assert rule.statistics["grad_norm"] == pytest.approx(2 * before["grad_norm"])
    assert rule.statistics.t == rule.t == 2


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", _core.update_rules())
def test_observing_changes_no_bit(name, dtype):
    results = []
    for observed in (False, True):
        for hooks in HOOKS.values():
            optimizer = getattr(optimizers, name)()
            link = make((61, 83), dtype, optimizer)
            rule = link.w.update_rule
            for hook in hooks:
                rule.add_hook(hook)
            if observed:
                optimizer.observe()
            for _ in range(3):
                optimizer.update()
            state = dict(rule.state or {})
            results.append([link.w.array, *(state[key] for key in sorted(state))])
    for plain, observed in zip(results[:3], results[3:], strict=True):
        for a, b in zip(plain, observed, strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_same_for_any_number_of_threads():
    found = []
    before = _core.num_threads()
    try:
        for threads in (1, 2, 3):
            _core.set_num_threads(threads)
            optimizer = optimizers.Adam()
            link = make(100_003, np.float32, optimizer)
            optimizer.observe()
            optimizer.update()
            found.append(dict(link.w.update_rule.statistics))
    finally:
        _core.set_num_threads(before)
    assert found[0] == found[1] == found[2]


def test_strictness():
    link = make_link(a=2, b=2)
    optimizer = optimizers.SGD().setup(link)
    rule = link.a.update_rule
    with pytest.raises(KeyError, match="did you mean 'grad_norm'"):
        optimizer.observe(None, ["gradnorm"])
    with pytest.raises(KeyError, match="not observed; observed: none"):
        rule.statistics["grad_norm"]
    optimizer.observe(optimizer.rules["/a"], ["grad_norm"])
    with pytest.raises(KeyError, match="no update has been observed"):
        rule.statistics["grad_norm"]
    assert dict(rule.statistics) == {}
    link.a.grad = np.full(2, 3, np.float32)
    link.b.grad = np.full(2, 3, np.float32)
    optimizer.update()
    assert rule.statistics["grad_norm"] == pytest.approx(np.sqrt(18))
    with pytest.raises(KeyError, match="'lost' is not observed; observed: grad_norm"):
        rule.statistics["lost"]
    assert len(link.b.update_rule.statistics) == 0
    optimizer.observe(None, [])
    assert len(rule.statistics) == 0

    class Plain(chainrule.UpdateRule):
        def update_core_cpu(self, param):
            pass

    link.b.update_rule = Plain()
    with pytest.raises(TypeError, match="Plain is written in Python"):
        optimizer.observe()
    assert len(rule.statistics) == 0


def test_nothing_of_nothing_is_no_infinite_ratio():
    link = make_link(none=0, zero=2, moved=2)
    link.zero.array[:] = link.moved.array[:] = 0
    optimizer = optimizers.SGD(lr=1).setup(link)
    optimizer.observe(None, "update_ratio")
    link.none.grad, link.zero.grad = np.zeros(0, np.float32), np.zeros(2, np.float32)
    link.moved.grad = np.ones(2, np.float32)
    optimizer.update()
    ratios = {p.name: p.update_rule.statistics["update_ratio"] for p in link.params()}
    assert ratios == {"none": 0, "zero": 0, "moved": math.inf}


def test_a_new_rule_is_observed_as_the_old_one_was():
    class Mine(chainrule.UpdateRule):
        def update_core(self, param):
            pass

    link = make_link(v=1, w=1)
    optimizer = optimizers.SGD(lr=1).setup(link)
    optimizer.observe("/w", "grad_norm")
    optimizer.rules.use(optimizers.Adam())
    for again in (False, True):
        if again:
            optimizer.setup(link)
        for param in link.params():
            param.grad = np.ones(1, np.float32)
        optimizer.update()
        assert dict(link.w.update_rule.statistics) == {"grad_norm": 1}
        assert dict(link.v.update_rule.statistics) == {}
    optimizer.rules.use(Mine)  # which the sweep does not see
    optimizer.update()
    assert dict(link.w.update_rule.statistics) == {}
