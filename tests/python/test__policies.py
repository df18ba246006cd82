"""Policies: gradients missing or not finite, reduced states, rounding, parking."""

from __future__ import annotations

import contextlib
import copy

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule
from chainrule import optimizer_hooks, optimizers
from small_links import make_link


def set_up(optimizer, size=300, dtype=np.float32, names="ab"):
    link = chainrule.Link()
    rng = np.random.default_rng(0)
    with link.init_scope():
        for name in names:
            value = rng.standard_normal(size).astype(dtype)
            setattr(link, name, chainrule.Parameter(value))
    optimizer.setup(link)
    return link


def give_gradients(link, step=0):
    rng = np.random.default_rng(step)
    for param in link.params():
        param.grad = rng.standard_normal(param.shape).astype(param.dtype)


def contents(link):
    out = {}
    for path, param in link.namedparams():
        out[path] = param.array.copy()
        for name, state in (param.update_rule.state or {}).items():
            out[f"{path} {name}"] = state.copy()
        out[f"{path} t"] = param.update_rule.t
    return out


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("policy", ["ignore", "skip_param", "skip_step", "raise"])
def test_on_nonfinite(policy, bad):
    optimizer = optimizers.Adam()
    link = set_up(optimizer, size=5000)
    give_gradients(link)
    optimizer.update()
    optimizer.rules.on_nonfinite = policy
    before = contents(link)
    give_gradients(link, 1)
    link.a.grad[4321] = bad
    if policy == "raise":
        with pytest.raises(ValueError, match="/a: the gradient is not finite"):
            optimizer.update()
        assert same(contents(link), before)
        assert optimizer.t == 1
        return
    optimizer.update()
    after = contents(link)
    updated = {p for p in "ab" if after[f"/{p} t"] == 2}
    assert updated == {"ignore": {"a", "b"}, "skip_param": {"b"}, "skip_step": set()}[policy]
    for name in "ab":
        own = [key for key in before if key.startswith(f"/{name}")]
        kept = all(np.array_equal(before[key], after[key]) for key in own)
        assert kept == (name not in updated)
        assert getattr(link, name).update_rule.skipped == (name not in updated)
    if policy == "ignore":
        assert np.isnan(link.a.array[4321])


def test_a_skipped_gradient_has_no_part_in_the_norm_of_all():
    optimizer = optimizers.SGD(lr=1.0)
    link = set_up(optimizer)
    optimizer.add_hook(optimizer_hooks.GradientClipping(1.0))
    optimizer.rules["/a"].on_nonfinite = "skip_param"
    give_gradients(link)
    link.a.grad[0] = np.nan
    before, grad = link.b.array.copy(), link.b.grad.copy()
    optimizer.update()
    np.testing.assert_allclose(before - link.b.array, grad / np.linalg.norm(grad), atol=1e-6)


def test_missing_grad():
    optimizer = optimizers.MomentumSGD(lr=0.1)
    link = set_up(optimizer)
    give_gradients(link)
    optimizer.update()
    link.cleargrads()
    before = contents(link)
    optimizer.update()
    assert same(contents(link), before)
    optimizer.rules["/a"].missing_grad = "zero"
    velocity = before["/a v"]
    optimizer.update()
    np.testing.assert_allclose(link.a.array, before["/a"] + np.float32(0.9) * velocity, rtol=1e-6)
    assert (link.a.update_rule.t, link.b.update_rule.t) == (2, 1)
    optimizer.rules["/b"].missing_grad = "raise"
    before = contents(link)
    with pytest.raises(ValueError, match="/b has no gradient"):
        optimizer.update()
    assert same(contents(link), before)


class Plain(chainrule.UpdateRule):
    """Gradient descent in Python."""

    def update_core_cpu(self, param):
        param.array[...] -= param.grad


def beside_python(native="Adam"):
    """`/a` is updated in C++, `/b` in Python, `/c` in C++ with a hook in Python."""
    optimizer = getattr(optimizers, native)()
    link = set_up(optimizer, names="abc")
    link.b.update_rule = Plain()
    link.c.update_rule.add_hook(lambda rule, param: None, "python")
    return optimizer, link


def watcher(seen):
    """A hook in Python on each parameter, which then does not run inside the sweep."""

    class Watcher:
        name, timing, call_for_each_param = "watcher", "pre", True

        def __call__(self, rule, param):
            seen.append(param.name)

    return Watcher()


@pytest.mark.parametrize("hooked", [False, True])
@pytest.mark.parametrize("bad", "abc")
@pytest.mark.parametrize("policy", ["ignore", "skip_param", "skip_step", "raise"])
def test_on_nonfinite_is_one_for_rules_in_python_and_all_others(policy, bad, hooked):
    optimizer, link = beside_python()
    seen = []
    if hooked:
        optimizer.add_hook(watcher(seen))
        optimizer.add_hook(optimizer_hooks.GradientClipping(1e9))
    give_gradients(link)
    optimizer.update()
    optimizer.rules[f"/{bad}"].on_nonfinite = policy
    before = contents(link)
    give_gradients(link, 1)
    getattr(link, bad).grad[-1] = np.nan
    seen.clear()
    if policy == "raise":
        with pytest.raises(ValueError, match=f"/{bad}: the gradient is not finite"):
            optimizer.update()
        held = set("abc")
    else:
        optimizer.update()
        held = {"ignore": set(), "skip_param": {bad}, "skip_step": set("abc")}[policy]
    after = contents(link)
    for name in "abc":
        own = [key for key in before if key.startswith(f"/{name}")]
        kept = all(np.array_equal(before[key], after[key]) for key in own)
        assert kept == (name in held), name
        skipped = getattr(link, name).update_rule.skipped
        assert skipped == (name in held and policy != "raise")
    assert seen == sorted(set("abc") - held) * hooked
    if policy == "skip_param":  # it has no part in the norm of all
        assert all(np.isfinite(after[f"/{name}"]).all() for name in "abc")
    # The next update knows nothing of this one.
    give_gradients(link, 2)
    optimizer.update()
    assert all(
        param.update_rule.t == before[f"{path} t"] + 1 + (path[1] not in held)
        for path, param in link.namedparams()
    )


def test_a_rule_in_python_by_itself_asks_its_policies():
    link = make_link(w=2)
    link.w.update_rule = rule = Plain()
    link.w.grad[0] = np.inf
    rule.on_nonfinite = "skip_step"
    link.w.update()
    assert (rule.t, rule.skipped, link.w.array.tolist()) == (0, 1, [0, 0])
    rule.on_nonfinite = "raise"
    with pytest.raises(ValueError, match="w: the gradient is not finite"):
        link.w.update()
    assert (rule.t, rule.skipped) == (0, 1)
    link.w.grad[0] = 1
    link.w.update()
    assert (rule.t, link.w.array.tolist()) == (1, [-1, -1])


@pytest.mark.parametrize("name", ["MSVAG", "NAdam"])
def test_an_update_left_out_leaves_no_trace(name):
    """Numbers that the rule keeps beside its states stay, and states are not made."""
    optimizer = getattr(optimizers, name)()
    link = set_up(optimizer)
    optimizer.rules["/a"].on_nonfinite = "skip_param"
    give_gradients(link)
    link.a.grad[0] = np.nan
    scalars = dict(link.a.update_rule._scalars)
    optimizer.update()
    assert (link.a.update_rule._scalars, link.a.update_rule.state) == (scalars, None)
    give_gradients(link)
    optimizer.update()
    other = getattr(optimizers, name)()
    twin = set_up(other)
    give_gradients(twin)
    other.update()
    np.testing.assert_array_equal(link.a.array, twin.a.array)


def test_a_step_left_out_does_not_convert_states():
    optimizer = optimizers.Adam()
    link = set_up(optimizer)
    give_gradients(link)
    optimizer.update()
    m = link.a.update_rule.state["m"].copy()
    optimizer.rules.state_dtype = "int8"
    for policy in ("skip_step", "raise"):
        optimizer.rules["/b"].on_nonfinite = policy
        link.b.grad[0] = np.nan
        with contextlib.suppress(ValueError):
            optimizer.update()
        assert link.a.update_rule.state["m"].dtype == np.float32
        np.testing.assert_array_equal(link.a.update_rule.state["m"], m)
    optimizer.rules["/b"].on_nonfinite = "ignore"
    optimizer.update()
    assert link.a.update_rule.state["m"].dtype == np.int8


@pytest.mark.parametrize("in_python", [False, True])
def test_large_numbers_are_finite(in_python):
    """Though their squares are not."""
    optimizer = optimizers.SGD(lr=1.0)
    link = set_up(optimizer, dtype=np.float64, size=3)
    if in_python:
        link.a.update_rule = Plain()
    optimizer.rules.on_nonfinite = "raise"
    give_gradients(link)
    link.a.grad[...] = 1e200
    optimizer.update()
    np.testing.assert_array_equal(link.a.array, -1e200)
    link.a.grad[1] = -np.inf
    with pytest.raises(ValueError, match="/a: the gradient is not finite"):
        optimizer.update()


@pytest.mark.parametrize("fused", [False, True])
def test_hooks_see_the_zeros_of_a_missing_gradient(fused):
    optimizer, link = beside_python("SGD")
    optimizer.lr = 1.0
    optimizer.add_hook(optimizer_hooks.WeightDecay(0.5))
    if not fused:
        optimizer.add_hook(watcher([]))
    optimizer.rules.missing_grad = "zero"
    before = {path: param.array.copy() for path, param in link.namedparams()}
    link.cleargrads()
    optimizer.update()
    for path, param in link.namedparams():
        np.testing.assert_allclose(param.array, before[path] / 2, err_msg=path)


def test_missing_grad_of_a_rule_in_python():
    class Step(chainrule.UpdateRule):
        def update_core_cpu(self, param):
            param.array[...] -= 1 + param.grad

    link = make_link(w=1)
    link.w.update_rule = Step()
    link.w.cleargrad()
    link.w.update_rule.missing_grad = "zero"
    link.w.update()
    assert link.w.array[0] == -1
    link.w.cleargrad()
    link.w.update_rule.missing_grad = "raise"
    with pytest.raises(ValueError, match="has no gradient"):
        link.w.update()


def test_names_are_strict():
    rule = optimizers.SGD().create_update_rule()
    with pytest.raises(ValueError, match="did you mean 'skip_step'"):
        rule.on_nonfinite = "skipstep"
    with pytest.raises(ValueError, match="missing_grad"):
        rule.missing_grad = None
    with pytest.raises(ValueError, match="float32, bfloat16, int8"):
        rule.state_dtype = "int4"
    with pytest.raises(ValueError, match="'nearest' or 'stochastic'"):
        rule.rounding = "up"
    assert (rule.on_nonfinite, rule.missing_grad, rule.state_dtype) == ("ignore", "skip", None)
    rule.state_dtype = np.float32
    assert rule.state_dtype == "float32"


@pytest.mark.parametrize("state_dtype", ["bfloat16", "int8"])
def test_reduced_states_follow_the_full_ones(state_dtype):
    # The same gradients in the same order; the states differ by their rounding only.
    states = []
    for dtype in (None, state_dtype):
        optimizer = optimizers.Adam()
        link = set_up(optimizer, size=3000)
        optimizer.rules.state_dtype = dtype
        for step in range(200):
            give_gradients(link, step)
            optimizer.update()
        states.append({name: link.a.update_rule.decoded_state(name) for name in "mv"})
        rule = link.a.update_rule
        if dtype:
            assert rule.state["m"].dtype == (np.int8 if dtype == "int8" else ml_dtypes.bfloat16)
    full, reduced = states
    for name in "mv":
        ratio = reduced[name].astype(np.float64) / full[name]
        # No drift: with rounding to the nearest v stays far too small, since it moves by 1/1000.
        assert abs(np.median(ratio) - 1) < 0.02, name
        if name == "v":
            assert ratio.std() < (0.2 if state_dtype == "int8" else 0.03)
        else:
            assert np.corrcoef(reduced[name].astype(np.float64), full[name])[0, 1] > 0.99


def test_states_are_converted_when_the_policy_changes():
    optimizer = optimizers.Adam()
    link = set_up(optimizer)
    give_gradients(link)
    optimizer.update()
    before = link.a.update_rule.decoded_state("m").copy()
    rule = link.a.update_rule
    for dtype in ("int8", "float32", "bfloat16", None):
        rule.state_dtype = dtype
        optimizer.rules.hyperparam.beta1 = 1.0  # keeps m
        optimizer.rules.hyperparam.alpha = 0.0
        with pytest.raises(ValueError, match="no finite step"):
            optimizer.update()  # 1 - beta1 ** t is zero
        optimizer.rules.hyperparam.beta1 = 0.999999
        give_gradients(link)
        optimizer.update()
        np.testing.assert_allclose(rule.decoded_state("m"), before, rtol=0.06, atol=1e-4)


def test_states_have_the_dtype_of_the_parameter_by_default():
    optimizer = optimizers.Adam()
    link = set_up(optimizer)
    give_gradients(link)
    optimizer.update()
    rule = link.a.update_rule
    for name in ("m", "v"):
        before = rule.state[name]
        rule._set_state(name, None)
        rule._set_state(name, before.astype(np.float16))
    give_gradients(link)
    optimizer.update()
    assert {state.dtype for state in rule.state.values()} == {link.a.dtype}
    assert link.a.dtype == np.float32


@given(st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=600))
def test_codes_of_any_state(values):
    state = np.array(values, np.float32)
    link = make_link(w=(len(values),))
    link.w.grad = np.zeros(len(values), np.float32)
    optimizer = optimizers.MomentumSGD(lr=0.0, momentum=1.0).setup(link)
    optimizer.update()
    rule = link.w.update_rule
    rule.state["v"] = state
    rule.state_dtype = "int8"
    optimizer.update()
    decoded = rule.decoded_state("v").astype(np.float64)
    for begin in range(0, len(values), 256):
        group = slice(begin, begin + 256)
        scale = 2 * np.abs(state[group]).max().astype(np.float64)
        # Two roundings, each to one of the neighbours in steps of the fourth root.
        root = (np.abs(state[group].astype(np.float64)) / max(scale, 1e-300)) ** 0.25
        upper = np.minimum(root + 2.01 / 127, 1.0) ** 4 * scale
        lower = np.maximum(root - 2.01 / 127, 0.0) ** 4 * scale
        size = np.abs(decoded[group])
        assert (size <= upper * (1 + 1e-5) + 1e-37).all()
        assert (size >= lower * (1 - 1e-5) - 1e-37).all()
        assert (decoded[group] * state[group] >= 0).all()


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_stochastic_rounding_keeps_small_updates(dtype):
    arrays = {}
    for rounding in ("nearest", "stochastic"):
        np.random.seed(0)
        link = chainrule.Link()
        with link.init_scope():
            link.w = chainrule.Parameter(np.ones(20000, dtype))
        optimizer = optimizers.SGD(lr=2.0**-14).setup(link)
        optimizer.rules.rounding = rounding
        optimizer.observe(None, ["lost"])
        for _ in range(64):
            link.w.grad = np.ones(20000, dtype)
            optimizer.update()
        arrays[rounding] = link.w.array.astype(np.float64)
        lost = link.w.update_rule.statistics["lost"]
        assert lost == (20000 if rounding == "nearest" else 0)
    assert (arrays["nearest"] == 1).all()
    # 64 steps of 2^-14; the deviation of the mean is far below.
    assert arrays["stochastic"].mean() == pytest.approx(1 - 64 * 2.0**-14, abs=2e-4)


def test_stochastic_rounding_is_repeatable_and_keeps_special_values():
    runs = []
    for _ in range(2):
        np.random.seed(5)
        optimizer = optimizers.Adam()
        link = set_up(optimizer, dtype=ml_dtypes.bfloat16)
        optimizer.rules.rounding = "stochastic"
        optimizer.rules.state_dtype = "int8"
        for step in range(5):
            give_gradients(link, step)
            optimizer.update()
        runs.append(contents(link))
    assert same(*runs)
    link = chainrule.Link()
    special = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 3.0], ml_dtypes.bfloat16)
    with link.init_scope():
        link.w = chainrule.Parameter(special.copy())
    optimizer = optimizers.SGD(lr=0.0).setup(link)
    optimizer.rules.rounding = "stochastic"
    link.w.grad = np.zeros(6, ml_dtypes.bfloat16)
    optimizer.update()
    np.testing.assert_array_equal(link.w.array.astype(np.float32), special.astype(np.float32))


def test_parking():
    optimizer = optimizers.Adam()
    link = set_up(optimizer)
    give_gradients(link)
    optimizer.update()
    rule = link.a.update_rule
    with pytest.raises(RuntimeError, match="the rule is on"):
        rule.park()
    rule.enabled = False
    with pytest.raises(ValueError, match="'host' or 'drop'"):
        rule.park("disk")
    m = rule.state["m"].copy()
    rule.park("host")
    np.testing.assert_array_equal(rule.state["m"], m)
    rule.park("drop")
    assert (rule.state, rule.t) == (None, 0)
    rule.enabled = True
    give_gradients(link)
    optimizer.update()
    assert rule.t == 1


def test_copies_and_snapshots_keep_policies(tmp_path):
    optimizer = optimizers.Adam()
    link = set_up(optimizer, dtype=ml_dtypes.bfloat16)
    chosen = optimizer.rules["/a"]
    chosen.on_nonfinite, chosen.state_dtype, chosen.rounding = "skip_param", "int8", "stochastic"
    for step in range(3):
        give_gradients(link, step)
        optimizer.update()
    copied = copy.deepcopy(link.a.update_rule)
    assert (copied.on_nonfinite, copied.state_dtype, copied.rounding, copied.seed) == (
        "skip_param",
        "int8",
        "stochastic",
        link.a.update_rule.seed,
    )
    chainrule.serializers.save_npz(tmp_path / "model.npz", link)
    chainrule.serializers.save_npz(tmp_path / "optimizer.npz", optimizer)
    other_optimizer = optimizers.Adam()
    other = set_up(other_optimizer, dtype=ml_dtypes.bfloat16)
    chainrule.serializers.load_npz(tmp_path / "model.npz", other)
    chainrule.serializers.load_npz(tmp_path / "optimizer.npz", other_optimizer)
    for step in range(3, 6):
        for net, each in ((link, optimizer), (other, other_optimizer)):
            give_gradients(net, step)
            each.update()
    assert same(contents(link), contents(other))
