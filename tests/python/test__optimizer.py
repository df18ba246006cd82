"""What all optimizers have: counts, hooks, loss scaling."""

from __future__ import annotations

import copy

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


class Failing(optimizers.SGD):
    """Has no rule for the parameter of a number."""

    fails_at, made, last = 2, 0, None

    def create_update_rule(self):
        self.made += 1
        if self.made == self.fails_at:
            if self.last is None:
                raise ZeroDivisionError
            return self.last
        return super().create_update_rule()


@pytest.mark.parametrize("last", [None, 3, optimizers.SGD()], ids=["raises", "3", "optimizer"])
def test_setup_is_all_or_nothing(last):
    link, other = make_link(a=2, b=2), make_link(c=3)
    optimizer = optimizers.Adam().setup(link)
    link.a.update_rule.hyperparam.alpha = 9
    link.b.update_rule.enabled = chainrule.schedules.after(2)
    rules = [param.update_rule for param in link.params()]
    failing = Failing()
    failing.last = last
    with pytest.raises((ZeroDivisionError, TypeError)) as caught:
        failing.setup(link)
    assert "[setup] stopped at /b" in caught.value.__notes__[-1]
    assert (failing.target, failing.t) == (None, 0)
    assert [param.update_rule for param in link.params()] == rules
    with pytest.raises(RuntimeError, match="call setup"):
        failing.update()
    for _ in range(3):
        optimizer.update()
    assert [rule.t for rule in rules] == [3, 1]

    # One that has a link already keeps it, and goes on counting.
    working = Failing(lr=0.5)
    working.last, working.fails_at = last, 0
    working.setup(link)
    working.add_hook(optimizer_hooks.WeightDecay(0))
    rules = [param.update_rule for param in link.params()]
    for _ in range(3):
        working.update()
    working.new_epoch()
    for again in (link, other):
        working.fails_at = working.made + 1
        with pytest.raises((ZeroDivisionError, TypeError)):
            working.setup(again)
        assert (working.target, working.t, working.epoch) == (link, 3, 1)
        assert [param.update_rule for param in link.params()] == rules
        assert (link.b.update_rule.enabled, link.b.frozen) == (True, False)
        assert other.c.update_rule is None
    working.update()
    assert (working.t, [rule.t for rule in rules]) == (4, [4, 2])
    working.fails_at = 0
    working.setup(other)
    assert (working.target, working.t) == (other, 0)
    with pytest.raises(KeyError, match="already exists"):
        working.add_hook(optimizer_hooks.WeightDecay(0))


def test_before_setup():
    optimizer = optimizers.SGD()
    with pytest.raises(RuntimeError, match="call setup"):
        optimizer.update()
    with pytest.raises(RuntimeError, match="call setup"):
        optimizer.update(lambda: None)
    with pytest.raises(RuntimeError, match="not set up"):
        optimizer.add_hook(optimizer_hooks.WeightDecay(1))
    scaled = optimizers.SGD()
    scaled.loss_scaling()
    with pytest.raises(RuntimeError, match="not set up"):
        scaled.check_nan_in_grads()
    with pytest.raises(RuntimeError, match="not set up"):
        scaled.call_hook(optimizer_hooks.WeightDecay(1))
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
        for name in (3, 1.5, ("a",), b"x"):
            with pytest.raises(
                TypeError, match=r"\[add_hook\] name of the hook: got .*, expected a"
            ):
                owner.add_hook(print, name=name)
        for hook in (optimizer_hooks.Cautious(), optimizer_hooks.SAM()):
            with pytest.raises(ValueError, match="got timing 'post', expected 'pre' or 'auto'"):
                owner.add_hook(hook, timing="post")
        hooks = owner._hookable
        assert (list(hooks.pre), list(hooks.post)) == (["Lasso"], [])
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
    for scale in (float("nan"), float("inf"), "x", np.ones(2)):
        with pytest.raises(
            (TypeError, ValueError), match=r"got .*, expected a finite number above 0"
        ):
            optimizer.loss_scaling(scale=scale)
    for interval in (float("nan"), float("inf"), "x", None):
        with pytest.raises(
            (TypeError, ValueError), match=r"got .*, expected a finite number from 1"
        ):
            optimizer.loss_scaling(interval)
    assert (optimizer._loss_scale, optimizer._loss_scaling_is_dynamic) == (None, False)
    optimizer.loss_scaling(scale=np.float32(8))
    assert optimizer._loss_scale == 8
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


class InPython(chainrule.UpdateRule):
    """Gradient descent in Python."""

    def update_core_cpu(self, param):
        param.array -= param.grad


def with_all_kinds() -> tuple[chainrule.Chain, optimizers.Adam]:
    """Native, in Python, with a hook in Python, off, held back, tied, strided, without gradient."""
    names = ("native", "python", "hooked", "off", "held", "strided", "without")
    net = chainrule.Chain(a=chainrule.Link(**dict.fromkeys(names, 3)), b=chainrule.Link(last=5000))
    with net.b.init_scope():
        net.b.tied = net.a.native
    optimizer = optimizers.Adam().setup(net)
    net.a.python.update_rule = InPython()
    net.a.hooked.update_rule.add_hook(lambda rule, param: None, "nothing")
    net.a.off.update_rule.enabled = False
    net.a.held.update_rule.on_nonfinite = "skip_param"
    return net, optimizer


def give_gradients(net, seed) -> None:
    rng = np.random.RandomState(seed)
    for param in net.params():
        param.grad = rng.normal(size=param.shape).astype(np.float32)
    net.a.held.grad[1] = np.nan
    net.a.strided.grad = np.repeat(net.a.strided.grad, 2)[::2]
    net.a.without.cleargrad()


@pytest.mark.parametrize("how", ["in the sweep", "in memory"])
def test_gradients_are_cleared_and_updates_are_the_same(how):
    nets = [with_all_kinds() for _ in range(2)]
    for net, optimizer in nets:
        for param in net.params():
            param.array[...] = 1
        if how == "in memory":
            optimizer.add_hook(lambda optimizer: None, "nothing")
        optimizer.add_hook(optimizer_hooks.GradientClipping(1.0))
    (net, optimizer), (other, plain) = nets
    for seed in range(3):
        optimizer.clear_gradients = seed > 0  # at any time
        for each in (net, other):
            give_gradients(each, seed)
        kept = {param.name: param.grad for param in net.params()}
        optimizer.update()
        plain.update()
        for path, param in net.namedparams():
            twin = dict(other.namedparams())[path]
            np.testing.assert_array_equal(param.array, twin.array, err_msg=path)
            assert param.grad is kept[param.name]
            if param.grad is not None:
                assert (not param.grad.any()) == (seed > 0), path
    assert net.a.without.grad is None
    optimizer.clear_gradients = False
    give_gradients(net, 9)
    optimizer.update()
    assert all(param.grad.any() for param in net.params() if param.grad is not None)


def test_gradients_that_share_memory_are_read_before_they_are_cleared():
    link = chainrule.Link(a=3, b=2, c=3, d=())
    memory = np.arange(1, 6, dtype=np.float32)
    for param in link.params():
        param.array[...] = 0
    optimizer = optimizers.SGD(lr=1.0).setup(link)
    optimizer.clear_gradients = True
    for _ in range(2):  # new rows, and familiar ones
        memory[...] = range(1, 6)
        link.a.grad, link.b.grad, link.c.grad = memory[:3], memory[1:3], memory[2:]
        link.d.grad = np.broadcast_to(np.float32(7), (1,))[0:1].reshape(())
        optimizer.update()
        assert not memory.any()
    assert link.a.array.tolist() == [-2, -4, -6]
    assert link.b.array.tolist() == [-4, -6]
    assert link.c.array.tolist() == [-6, -8, -10]
    assert link.d.array == -14
    assert link.d.grad == 0  # read-only memory is left; there is a new array


def test_a_step_that_loss_scaling_leaves_out_clears_too():
    link = chainrule.Link(w=2)
    link.w.array[...] = 1
    optimizer = optimizers.SGD(lr=1.0).setup(link)
    optimizer.loss_scaling()
    optimizer.clear_gradients = True
    link.w.grad = np.array([np.inf, 1], np.float32)
    with pytest.warns(UserWarning, match="Non finite"):
        optimizer.update()
    assert link.w.array.tolist() == [1, 1]
    assert link.w.grad.tolist() == [0, 0]


def test_a_refused_update_clears_nothing():
    net, optimizer = with_all_kinds()
    optimizer.clear_gradients = True
    give_gradients(net, 0)
    net.b.last.update_rule.missing_grad = "raise"
    net.b.last.cleargrad()
    with pytest.raises(ValueError, match="/b/last has no gradient"):
        optimizer.update()
    assert all(param.grad.any() for param in net.params() if param.grad is not None)
    assert copy.deepcopy(optimizer).clear_gradients


@pytest.mark.parametrize("name", ["on_nonfinite", "missing_grad", "state_dtype", "enabled"])
def test_policies_are_not_set_on_the_optimizer(name):
    optimizer = optimizers.SGD().setup(make_link(w=1))
    with pytest.raises(AttributeError, match=rf"'{name}' is set on .*: optimizer.rules.{name} ="):
        setattr(optimizer, name, None)
    with chainrule.using_config("chainer_semantics", True):
        setattr(optimizer, name, 3)  # as in Chainer
    assert getattr(optimizer, name) == 3
