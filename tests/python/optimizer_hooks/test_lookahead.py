"""Slow weights against pytorch-optimizer; test_ema.py has what they share with averages."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule
from chainrule import optimizers
from chainrule.optimizer_hooks import Lookahead
from golden import golden_cases
from golden import golden_weight_hooks as golden


@pytest.mark.parametrize("dtype", golden.DTYPES)
@pytest.mark.parametrize("place", ["optimizer", "rules"])
def test_equal_to_pytorch_optimizer(place, dtype):
    values = golden_cases.load("weight_hooks")
    link = chainrule.Link()
    with link.init_scope():
        for name, value in golden.start(dtype).items():
            setattr(link, name, chainrule.Parameter(value))
    optimizer = optimizers.MomentumSGD(**golden.MOMENTUM).setup(link)
    hook = Lookahead(**golden.LOOKAHEAD)
    for owner in [optimizer] if place == "optimizer" else [p.update_rule for p in link.params()]:
        owner.add_hook(hook)
    for step, grads in enumerate(golden.gradients(dtype), start=1):
        for name, grad in grads.items():
            getattr(link, name).grad = grad
        optimizer.update()
        if step in golden.STEPS:
            for param in link.params():
                theirs = values[f"Lookahead/{dtype}/step{step}/{param.name}"]
                np.testing.assert_allclose(
                    param.array, theirs, rtol=0, atol=32 * np.finfo(dtype).eps
                )


def test_a_parameter_without_gradient_stays():
    link = chainrule.Link(a=2, b=2)
    link.a.array[:] = link.b.array[:] = 1
    optimizer = optimizers.SGD(lr=1.0).setup(link)
    optimizer.add_hook(Lookahead(0.5, 2))
    for _ in range(4):
        link.a.grad = np.ones(2, np.float32)
        optimizer.update()
    np.testing.assert_array_equal(link.a.array, -1)  # 1, 0, -1 -> 0, -1, -2 -> -1
    np.testing.assert_array_equal(link.b.array, 1)


@pytest.mark.parametrize("why", ["off", "no gradient", "not finite", "in Python"])
def test_slow_weights_wait_for_an_update(why):
    """A count that stays at a multiple of k is no update."""
    link = chainrule.Link(a=2, b=2)
    link.a.array[:] = link.b.array[:] = 1
    optimizer = optimizers.SGD(lr=1.0).setup(link)
    optimizer.add_hook(Lookahead(0.5, 2))
    if why == "in Python":
        link.a.update_rule.add_hook(lambda rule, param: None, "python")
    for _ in range(2):
        link.a.grad = link.b.grad = np.ones(2, np.float32)
        optimizer.update()
    link.a.array[:] = 7  # somebody's own business
    if why == "off":
        link.a.update_rule.enabled = False
    elif why == "not finite":
        link.a.update_rule.on_nonfinite = "skip_param"
        link.a.grad = np.full(2, np.nan, np.float32)
    else:
        link.a.cleargrad()
    for _ in range(2):
        optimizer.update()
    np.testing.assert_array_equal(link.a.array, 7)
    np.testing.assert_array_equal(link.b.array, -1)


@pytest.mark.parametrize("kwargs", [{"alpha": -1.0}, {"alpha": 2.0}, {"k": 0}, {"k": 1.5}])
def test_values_out_of_range(kwargs):
    with pytest.raises(ValueError, match=r"\[Lookahead\] (alpha|k): got"):
        Lookahead(**kwargs)
