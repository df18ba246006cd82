"""Cautious updates against pytorch-optimizer and NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule
from chainrule import _core, optimizer_hooks, optimizers
from chainrule.optimizer_hooks import Cautious
from golden import golden_cases
from golden import golden_weight_hooks as golden


def make_link(dtype: str = "float32", only: int | None = None) -> chainrule.Link:
    link = chainrule.Link()
    with link.init_scope():
        for name, value in golden.start(dtype).items():
            if only is None or value.ndim == only:
                setattr(link, name, chainrule.Parameter(value))
    return link


def attach(place, hook, optimizer, link) -> None:
    for owner in [optimizer] if place == "optimizer" else [p.update_rule for p in link.params()]:
        owner.add_hook(hook)


@pytest.mark.parametrize("dtype", golden.DTYPES)
@pytest.mark.parametrize("place", ["optimizer", "rules"])
@pytest.mark.parametrize("name", ["Adafactor", "Muon"])
def test_equal_to_pytorch_optimizer(name, place, dtype):
    values = golden_cases.load("weight_hooks")
    link = make_link(dtype, 2 if name == "Muon" else None)
    kwargs = {"Adafactor": golden.ADAFACTOR, "Muon": golden.MUON}[name]
    optimizer = getattr(optimizers, name)(**kwargs).setup(link)
    attach(place, Cautious(), optimizer, link)
    for step, grads in enumerate(golden.gradients(dtype), start=1):
        for param in link.params():
            param.grad = grads[param.name]
        optimizer.update()
        if step in golden.STEPS:
            for param in link.params():
                theirs = values[f"Cautious/{name}/{dtype}/step{step}/{param.name}"]
                bound = 64 * np.finfo(dtype).eps * max(1, np.abs(theirs).max())
                assert np.abs(param.array - theirs).max() <= bound, f"{param.name} {step}"


RULES = {
    "MomentumSGD": {"lr": 0.1},
    "AdamW": {"alpha": 0.05, "weight_decay_rate": 0.1},
    "NesterovAG": {"lr": 0.1},
    "SOAP": {"lr": 0.1, "weight_decay": 0.2},
    "Muon": {"weight_decay": 0.3},
}


@pytest.mark.parametrize("place", ["optimizer", "rules", "python"])
@pytest.mark.parametrize("name", RULES)
def test_equal_to_the_masked_change_of_the_rule(name, place):
    """A second optimizer makes the change; NumPy masks it, but not the decay."""
    kwargs = RULES[name]
    link, twin = make_link("float64", 2), make_link("float64", 2)
    optimizer = getattr(optimizers, name)(**kwargs).setup(link)
    attach(place, Cautious(), optimizer, link)
    optimizer.add_hook(optimizer_hooks.WeightDecay(0.05))
    if place == "python":
        link.w.update_rule.add_hook(lambda rule, param: None, name="mine")
    free = getattr(optimizers, name)(**kwargs).setup(twin)
    hp = free.hyperparam
    keep = {
        "AdamW": lambda t: 1 - hp.weight_decay_rate,
        "SOAP": lambda t: 1 - hp.lr * hp.weight_decay if t > 1 else 1,
        "Muon": lambda t: 1 - hp.lr * hp.weight_decay,
    }.get(name, lambda t: 1)
    masked = 0
    for step, grads in enumerate(golden.gradients("float64")[:12], start=1):
        expected = {}
        for param in link.params():
            other = getattr(twin, param.name)
            other.array[...] = param.array
            param.grad = grads[param.name]
            other.grad = param.grad + 0.05 * param.array
        free.update()
        for param in link.params():
            other = getattr(twin, param.name)
            kept = keep(step) * param.array
            change = other.array - kept
            mask = change * other.grad < 0
            masked += (~mask).sum()
            expected[param.name] = kept + change * mask * mask.size / (mask.sum() + 1)
        optimizer.update()
        for param in link.params():
            np.testing.assert_allclose(param.array, expected[param.name], rtol=1e-11, atol=1e-11)
    assert masked > 10


@settings(deadline=None)
@given(
    st.sampled_from(["Adam", "MomentumSGD", "Muon"]),
    st.sampled_from(["float16", "float32", "float64"]),
    st.booleans(),
    st.integers(1, 3),
)
def test_bits_do_not_depend_on_threads_or_company(name, dtype, master, threads):
    shapes = {"a": (300, 40), "b": (3, 4), "c": (1, 1)}
    results = []
    before = _core.num_threads()
    try:
        for batched in (True, False):
            _core.set_num_threads(threads if batched else 1)
            rng = np.random.RandomState(0)
            link = chainrule.Link()
            with link.init_scope():
                for key, shape in shapes.items():
                    setattr(link, key, chainrule.Parameter(rng.randn(*shape).astype(dtype)))
            optimizer = getattr(optimizers, name)()
            if master:
                optimizer.use_fp32_update()
            optimizer.setup(link)
            for param in link.params():
                param.update_rule.add_hook(Cautious())
            for _ in range(3):
                for param in link.params():
                    param.grad = rng.randn(*param.shape).astype(dtype)
                if batched:
                    optimizer.update()
                else:
                    for param in link.params():
                        param.update_rule.update(param)
            results.append({param.name: param.array.tobytes() for param in link.params()})
    finally:
        _core.set_num_threads(before)
    assert results[0] == results[1]


def test_taken_off_again_the_rule_is_what_it_was():
    link, twin = make_link(), make_link()
    optimizer = optimizers.Adam().setup(link)
    plain = optimizers.Adam().setup(twin)
    optimizer.add_hook(Cautious())
    optimizer.remove_hook("Cautious")
    for grads in golden.gradients("float32")[:4]:
        for name, grad in grads.items():
            getattr(link, name).grad = getattr(twin, name).grad = grad
        optimizer.update()
        plain.update()
    for param in link.params():
        np.testing.assert_array_equal(param.array, getattr(twin, param.name).array)


def test_refuses_rules_that_it_cannot_see_into():
    class Mine(chainrule.UpdateRule):
        def update_core_cpu(self, param):
            param.array[...] -= param.grad

    link = make_link()
    optimizer = optimizers.Adam().setup(link)
    link.w.update_rule = Mine()
    with pytest.raises(TypeError, match=r"\[Cautious\] Mine updates in Python"):
        link.w.update_rule.add_hook(Cautious())
    assert not link.w.update_rule.hooks
    optimizer.add_hook(Cautious())
    with pytest.raises(TypeError, match=r"\[Cautious\] w is updated in Python"):
        optimizer.update()


def test_not_a_number_stays_one():
    link = make_link()
    optimizer = optimizers.MomentumSGD().setup(link)
    optimizer.add_hook(Cautious())
    for param in link.params():
        param.grad = np.ones_like(param.array)
    link.w.grad[0, 0] = np.nan
    optimizer.update()
    assert np.isnan(link.w.array[0, 0])
    assert np.isnan(link.w.array).sum() == 1
