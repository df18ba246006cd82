"""Gradients from the sharpest place nearby, against pytorch-optimizer."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule
import chainrule.functions as F
from chainrule import optimizers
from chainrule.optimizer_hooks import EMA, SAM
from golden import golden_cases
from golden import golden_weight_hooks as golden


def make_link(dtype: str = "float32") -> chainrule.Link:
    link = chainrule.Link()
    with link.init_scope():
        for name, value in golden.start(dtype).items():
            setattr(link, name, chainrule.Parameter(value))
    return link


def distance(link, goals):
    return sum(F.sum((getattr(link, name) - goal) ** 2) for name, goal in goals.items())


@pytest.mark.parametrize("dtype", golden.DTYPES)
@pytest.mark.parametrize("place", ["optimizer", "rules"])
def test_equal_to_pytorch_optimizer(place, dtype):
    values = golden_cases.load("weight_hooks")
    link = make_link(dtype)
    optimizer = optimizers.MomentumSGD(**golden.MOMENTUM).setup(link)
    hook = SAM(golden.RHO)
    for owner in [optimizer] if place == "optimizer" else [p.update_rule for p in link.params()]:
        owner.add_hook(hook)
    for step, goals in enumerate(golden.targets(dtype), start=1):
        optimizer.update(distance, link, goals)
        if step in golden.STEPS:
            for param in link.params():
                theirs = values[f"SAM/{dtype}/step{step}/{param.name}"]
                # Their norm is a float32, whatever the dtype.
                eps = 64 * np.finfo(dtype).eps if dtype == "float32" else 1e-8
                bound = eps * max(1, np.abs(theirs).max())
                assert np.abs(param.array - theirs).max() <= bound


def test_equal_to_numpy_in_float64():
    link = make_link("float64")
    optimizer = optimizers.SGD(lr=0.05).setup(link)
    optimizer.add_hook(SAM(0.3))
    expected = {p.name: p.array.copy() for p in link.params()}
    for goals in golden.targets("float64")[:20]:
        optimizer.update(distance, link, goals)
        grads = {k: 2 * (p - goals[k]) for k, p in expected.items()}
        norm = np.sqrt(sum((g**2).sum() for g in grads.values()))
        for k, p in expected.items():
            expected[k] = p - 0.05 * 2 * (p + 0.3 * grads[k] / norm - goals[k])
    for param in link.params():
        np.testing.assert_allclose(param.array, expected[param.name], rtol=1e-12, atol=1e-13)


def test_on_a_selection_only_those_parameters_move():
    link = make_link()
    optimizer = optimizers.SGD(lr=0.0).setup(link)
    hook = SAM(0.5)
    link.w.update_rule.add_hook(hook)
    link.b.update_rule.add_hook(hook)
    seen = []
    before = {p.name: p.array.copy() for p in link.params()}

    def loss():
        seen.append({p.name: p.array.copy() for p in link.params()})
        return distance(link, before | {"w": 0, "b": 0, "k": 0})

    optimizer.update(loss)
    first, second = seen
    moved = {name: second[name] - first[name] for name in first}
    norm = np.sqrt(sum(np.square(moved[name]).sum() for name in ("w", "b")))
    assert norm == pytest.approx(0.5, rel=1e-5)
    assert not moved["k"].any()
    for param in link.params():
        assert param.array.tobytes() == before[param.name].tobytes()


def test_without_a_loss_function():
    link = make_link()
    optimizer = optimizers.MomentumSGD().setup(link)
    optimizer.add_hook(SAM())
    for param in link.params():
        param.grad = np.ones_like(param.array)
    before = link.w.array.copy()
    with pytest.raises(RuntimeError, match=r"\[SAM\] a second gradient is needed: call optimizer"):
        optimizer.update()
    assert optimizer.t == link.w.update_rule.t == 0
    np.testing.assert_array_equal(link.w.array, before)
    optimizer.remove_hook("SAM")
    link.w.update_rule.add_hook(SAM())
    for call in (optimizer.update, lambda: link.w.update_rule.update(link.w)):
        with pytest.raises(RuntimeError, match=r"\[SAM\] a second gradient is needed"):
            call()
    optimizer.update(distance, link, {"w": 0, "b": 0, "k": 0})
    assert link.w.update_rule.t == 1


def test_parameters_are_put_back_when_the_loss_raises():
    link = make_link()
    optimizer = optimizers.SGD().setup(link)
    optimizer.add_hook(SAM(1.0))
    before = {p.name: p.array.tobytes() for p in link.params()}
    calls = []

    def loss():
        calls.append(1)
        if len(calls) == 2:
            raise ArithmeticError("second pass")
        return distance(link, {"w": 0, "b": 0, "k": 0})

    with pytest.raises(ArithmeticError, match="second pass"):
        optimizer.update(loss)
    assert {p.name: p.array.tobytes() for p in link.params()} == before
    assert optimizer.t == 0


def test_beside_other_hooks_and_a_norm_that_is_not_finite():
    link = make_link()
    optimizer = optimizers.SGD(lr=0.1).setup(link)
    optimizer.add_hook(SAM(0.1))
    optimizer.add_hook(EMA(0.5))
    optimizer.add_hook(lambda opt: None, name="mine")
    goals = {"w": 0, "b": 0, "k": 0}
    optimizer.update(distance, link, goals)
    link.w.array[0, 0] = np.inf
    optimizer.update(distance, link, goals)
    assert np.isfinite(link.b.array).all()
    assert EMA.average_of(link.b.update_rule) is not None


def test_scaled_losses_move_parameters_as_far():
    results = []
    for scale in (None, 1024.0):
        link = make_link("float64")
        optimizer = optimizers.SGD(lr=0.1).setup(link)
        optimizer.add_hook(SAM(0.3))
        if scale:
            optimizer.loss_scaling(scale=scale)
        for _ in range(3):
            optimizer.update(distance, link, {"w": 0.1, "b": 0, "k": 0})
        results.append(link.w.array.copy())
    np.testing.assert_allclose(results[0], results[1], rtol=1e-13)


@pytest.mark.parametrize("rho", [-0.1, float("nan")])
def test_rho_out_of_range(rho):
    with pytest.raises(ValueError, match=r"\[SAM\] rho: got"):
        SAM(rho)
