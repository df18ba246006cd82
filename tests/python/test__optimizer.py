"""What all optimizers have: counts, hooks, loss scaling."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule
from chainrule import optimizer_hooks, optimizers
from small_links import make_link


def test_counts_and_second_setup():
    link = make_link(a=1, b=1)
    optimizer = optimizers.SGD().setup(link)
    assert (optimizer.t, optimizer.epoch) == (0, 0)
    link.b.update_rule.enabled = False
    hook = optimizer_hooks.WeightDecay(0)
    link.a.update_rule.add_hook(hook)
    optimizer.update()
    optimizer.new_epoch()
    assert (optimizer.t, optimizer.epoch) == (1, 1)
    assert (link.a.update_rule.t, link.b.update_rule.t) == (1, 0)
    before = link.a.update_rule
    optimizer.setup(link)
    assert (optimizer.t, optimizer.epoch, link.a.update_rule.t) == (0, 0, 0)
    assert link.a.update_rule is not before
    # What was switched off stays off, hooks stay.
    assert (link.a.update_rule.enabled, link.b.update_rule.enabled) == (True, False)
    with pytest.raises(KeyError, match="already exists"):
        link.a.update_rule.add_hook(hook)
    with chainrule.using_config("chainer_semantics", True):
        optimizer.setup(link)
    link.a.update_rule.add_hook(hook)
    with pytest.raises(RuntimeError, match="auto=True"):
        optimizer.new_epoch(auto=True)
    optimizer.use_auto_new_epoch = True
    optimizer.new_epoch(auto=True)
    with pytest.raises(RuntimeError, match="duplicated new_epoch"):
        optimizer.new_epoch()


def test_before_setup():
    optimizer = optimizers.SGD()
    with pytest.raises(RuntimeError, match="call setup"):
        optimizer.update()
    with pytest.raises(RuntimeError, match="call setup"):
        optimizer.update(lambda: None)
    with pytest.raises(RuntimeError, match="not set up"):
        optimizer.add_hook(optimizer_hooks.WeightDecay(1))
    with pytest.raises(TypeError, match="must be a link"):
        optimizer.setup([])
    with pytest.raises(TypeError, match="learning_rate"):
        optimizers.SGD(learning_rate=1)
    with pytest.raises(NotImplementedError):
        chainrule.Optimizer().update()
    with pytest.raises(NotImplementedError, match="create_update_rule"):
        chainrule.GradientMethod().create_update_rule()


def test_hooks_are_checked():
    for owner in (optimizers.SGD().setup(make_link(w=1)), optimizers.SGD().create_update_rule()):
        owner.add_hook(optimizer_hooks.Lasso(0))
        with pytest.raises(KeyError, match="already exists"):
            owner.add_hook(optimizer_hooks.Lasso(0))
        with pytest.raises(TypeError, match="callable"):
            owner.add_hook(3)
        with pytest.raises(ValueError, match="name of the hook"):
            owner.add_hook(type("Nameless", (), {"__call__": print})())
        with pytest.raises(ValueError, match="timing must be one of"):
            owner.add_hook(print, timing="now")
        owner.remove_hook("Lasso")
        with pytest.raises(KeyError):
            owner.remove_hook("Lasso")
    odd = type("Odd", (), {"__call__": print, "name": "odd", "timing": "whenever"})
    optimizer = optimizers.SGD().setup(make_link(w=1))
    with pytest.warns(UserWarning, match="defaulting timing to 'pre'"):
        optimizer.add_hook(odd())
    with pytest.raises(ValueError, match="whenever"):
        optimizer.create_update_rule().add_hook(odd())
    with pytest.raises(ValueError, match="either 'pre' or 'post'"):
        optimizer.call_hooks("sometime")


def test_loss_scaling():
    link = make_link(w=1)
    optimizer = optimizers.SGD(lr=1).setup(link)
    with pytest.raises(ValueError, match="positive number"):
        optimizer.set_loss_scale(-1)
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        optimizer.loss_scaling(interval=0)
    optimizer.loss_scaling(interval=2)
    scales = []
    for factor in (1.0, 1.0, float("inf"), 1.0, 1.0):

        def lossfun(factor=factor):
            return (link.w * factor).sum()

        if np.isinf(factor):
            with pytest.warns(UserWarning, match="Non finite number found in param.grad of /w"):
                optimizer.update(lossfun)
            assert not optimizer.is_safe_to_update()
        else:
            optimizer.update(lossfun)
            assert optimizer.is_safe_to_update()
        scales.append(optimizer._loss_scale)
    np.testing.assert_allclose(scales, [2, 4, 2, 2 * 2**0.5, 4])
    assert link.w.array[0] == pytest.approx(-4)
    assert (optimizer.t, link.w.update_rule.t) == (5, 4)
    optimizer.set_loss_scale(8)
    optimizer.update(lambda: link.w.sum())
    assert (optimizer._loss_scale, link.w.array[0]) == (8, pytest.approx(-5))
    # Gradients that the user computed are as they are.
    link.w.grad = np.ones(1, np.float32)
    optimizer.update()
    assert link.w.array[0] == pytest.approx(-6)
