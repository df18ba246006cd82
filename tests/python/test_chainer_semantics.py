"""The switch `config.chainer_semantics`: what differs from Chainer, each point in both positions.

One test for each row of "What is wrong in Chainer, and is right here". Where Chainer only raises
or is slow, both positions are alike.
"""

from __future__ import annotations

import sys

import numpy as np
import pytest

import chainrule
import chainrule.functions as F
import chainrule.links as L
from chainrule import _core, optimizer_hooks, optimizers, serializers
from small_links import make_link

both = pytest.mark.parametrize("chainer", [False, True], ids=["ours", "chainer's"])


@pytest.fixture(autouse=True)
def semantics(request):
    chainer = request.node.callspec.params["chainer"]
    with chainrule.using_config("chainer_semantics", chainer):
        yield


@both
def test_a_disabled_parameter_gets_no_gradient(chainer):
    """Chainer computes it all the same, and gives zeros where there is none."""
    deep = chainrule.ChainList(*[L.Linear(3, 3) for _ in range(4)])
    optimizer = optimizers.SGD().setup(deep)
    for layer in list(deep)[:3]:
        layer.disable_update()
    before = _core.live_node_count()
    h = np.ones((2, 3), np.float32)
    for layer in deep:
        h = layer(h)
    loss = F.sum(h)
    recorded = _core.live_node_count() - before
    deep.cleargrads()
    loss.backward()
    given = [param.grad is not None for param in deep.params()]
    assert given == ([True] * 8 if chainer else [False] * 6 + [True] * 2)
    # Nothing of the disabled layers is in the graph: the last product and the sum are.
    assert recorded > 4 if chainer else recorded <= 2
    deep.cleargrads()
    optimizer.update()
    for param in deep.params():
        assert (param.grad is not None) is chainer
        if chainer:
            assert not param.grad.any()
    # From the next forward pass on.
    deep[0].enable_update()
    F.sum(deep[0](np.ones((2, 3), np.float32))).backward()
    assert deep[0].W.grad is not None
    assert deep[0].W.grad.any()


@both
def test_no_gradient_means_untouched(chainer):
    """Chainer's zeros let momentum and decay move a parameter that took no part."""
    link = make_link(w=2, unused=2)
    optimizer = optimizers.MomentumSGD(lr=1, momentum=0.5).setup(link)
    optimizer.add_hook(optimizer_hooks.WeightDecay(0.25))
    optimizer.update()
    np.testing.assert_array_equal(link.unused.array, [-1, -1])
    link.unused.cleargrad()
    optimizer.update()
    moved = -1 - 0.5 + 0.25 if chainer else -1
    np.testing.assert_array_equal(link.unused.array, [moved, moved])
    assert link.unused.update_rule.t == (2 if chainer else 1)


@both
def test_an_override_follows_no_later_change_unless_it_inherits(chainer):
    link = make_link(a=1, b=1)
    optimizer = optimizers.SGD(lr=1).setup(link)
    link.a.update_rule.hyperparam.lr = 10.0
    optimizer.lr = 0.5
    optimizer.update()
    assert (link.a.array[0], link.b.array[0]) == (-10, -0.5)
    if hasattr(chainrule, "inherit"):  # a value that follows is new in both positions
        link.a.update_rule.hyperparam.lr = chainrule.inherit * 0.1
        optimizer.lr = 5.0
        optimizer.update()
        assert link.a.array[0] == -10.5


@both
def test_a_mistyped_hyperparameter_is_refused(chainer):
    optimizer = optimizers.Adam().setup(make_link(w=1))
    with pytest.raises(AttributeError, match="did you mean 'alpha'"):
        optimizer.target.w.update_rule.hyperparam.alfa = 0.1
    # A user's own optimizer chooses its names.
    own = chainrule.UpdateRule()
    own.hyperparam.anything = 1
    assert own.hyperparam.anything == 1


class Counting:
    """A table that takes down which of its methods are called."""

    def __init__(self, table):
        self.table, self.calls = table, []

    def __getattr__(self, name):
        found = getattr(self.table, name)
        if callable(found):
            self.calls.append(name)
        return found


def count_calls(optimizer) -> tuple[int, list[str]]:
    """Python functions entered in an update, and the calls of the native table."""
    table = optimizer._table = Counting(optimizer._table)
    entered = []

    def profile(frame, event, what):
        if event == "call" and frame.f_code is not Counting.__getattr__.__code__:
            entered.append(frame.f_code.co_name)

    sys.setprofile(profile)
    try:
        optimizer.update()
    finally:
        sys.setprofile(None)
    optimizer._table = table.table
    return len(entered), table.calls


@both
def test_one_native_call_updates_all(chainer):
    """However many parameters, algorithms, values, hooks and switches there are."""
    found = {}
    for count in (3, 90):
        link = make_link(**{f"p{i}": i + 1 for i in range(count)})
        optimizer = optimizers.Adam(alpha=0.1).setup(link)
        optimizer.add_hook(optimizer_hooks.GradientClipping(1))
        optimizer.add_hook(optimizer_hooks.WeightDecay(0.1))
        for i, param in enumerate(link.params()):
            if i % 3 == 0:
                param.update_rule = optimizers.MomentumSGD(lr=i).create_update_rule()
            elif i % 3 == 1:
                param.update_rule.hyperparam.alpha = 0.1 / (1 + i)
                param.update_rule.add_hook(optimizer_hooks.Lasso(0.1))
            param.update_rule.enabled = i % 7 != 6
        optimizer.update()
        found[count] = count_calls(optimizer)
    expected = ["step", "settle"] if chainer else ["step_and_count"]
    assert found[3][1] == found[90][1] == expected
    if not chainer:  # where gradients of zeros are looked for one by one
        assert found[3][0] == found[90][0] <= 3


@both
def test_setup_remembers(chainer):
    """What was disabled before the first setup, and hooks and switches at the second."""
    link = make_link(a=1, b=1)
    link.a.update_rule = None
    link.disable_update()
    optimizer = optimizers.SGD(lr=1).setup(link)
    assert [p.update_rule.enabled for p in link.params()] == [chainer] * 2
    link.enable_update()
    link.b.update_rule.enabled = False
    hook = optimizer_hooks.WeightDecay(0.5)
    link.a.update_rule.add_hook(hook)
    optimizer.add_hook(optimizer_hooks.GradientClipping(100))
    optimizer.setup(link)
    assert link.b.update_rule.enabled is chainer
    assert list(link.a.update_rule.hooks.values()) == ([] if chainer else [hook])
    names = list(optimizer._hooks().pre)
    assert names == ([] if chainer else ["GradientClipping"])


@both
def test_missing_state_starts_fresh_and_the_report_says_so(chainer, tmp_path):
    """Freeze, save, unfreeze, load: Chainer raises KeyError, which is cured in both positions."""
    link = make_link(a=2, b=2)
    optimizer = optimizers.Adam().setup(link)
    link.a.update_rule.enabled = False
    optimizer.update()
    serializers.save_npz(tmp_path / "frozen.npz", optimizer)
    other = make_link(a=2, b=2)
    unfrozen = optimizers.Adam().setup(other)
    report = serializers.load_npz(tmp_path / "frozen.npz", unfrozen)
    assert report.fresh == ["a"]
    assert "a" in str(report)
    assert other.a.update_rule.state is None
    np.testing.assert_array_equal(other.b.update_rule.state["m"], link.b.update_rule.state["m"])
    other.a.update_rule.enabled = True  # the file says off, except in Chainer's files
    unfrozen.update()
    np.testing.assert_allclose(other.a.update_rule.state["m"], [0.1, 0.1], rtol=1e-6)


@both
def test_a_rules_decay_sees_unscaled_gradients(chainer):
    """In Chainer a rule's decay allows for the scale, though it is divided out by then."""
    link = make_link(w=1)
    link.w.array[:] = 1
    optimizer = optimizers.SGD(lr=1).setup(link)
    link.w.update_rule.add_hook(optimizer_hooks.WeightDecay(0.1))
    optimizer.loss_scaling(scale=4.0)
    optimizer.update(lambda: F.sum(link.w * 0.5))
    assert link.w.array[0] == pytest.approx(1 - 0.5 - (0.4 if chainer else 0.1))


@both
def test_denormal_states_are_zero(chainer):
    tiny = np.float32(np.finfo(np.float32).tiny)
    for make, names in ((optimizers.Adam, ("m", "v")), (optimizers.MomentumSGD, ("v",))):
        link = make_link(w=64)
        optimizer = make().setup(link)
        optimizer.update()
        link.w.grad = np.zeros(64, np.float32)
        state = link.w.update_rule.state
        for name in names:
            state[name][...] = tiny * np.linspace(0.5, 1.0001, 64, dtype=np.float32)
        optimizer.update()
        for name in names:
            size = np.abs(state[name])
            assert ((size == 0) | (size >= tiny)).all(), name
            assert (size == 0).any(), name


@both
def test_a_nonfinite_gradient_stops_what_the_policy_says(chainer):
    """Dynamic loss scaling looks at all gradients in one native call, and skips the step."""
    link = make_link(a=2, b=2)
    optimizer = optimizers.SGD(lr=1).setup(link)
    optimizer.loss_scaling()
    link.b.grad = np.array([1, np.inf], np.float32)
    with pytest.warns(UserWarning, match="Non finite number found in param.grad of /b"):
        optimizer.update()
    np.testing.assert_array_equal(link.a.array, [0, 0])
    assert (optimizer.t, link.a.update_rule.t) == (1, 0)


@both
def test_masks_are_drawn_as_chainer_draws_them(chainer):
    """Under the switch, from `numpy.random` in Chainer's order."""
    x = np.ones((4, 5), np.float32)
    np.random.seed(7)
    expected = (np.random.rand(*x.shape) >= 0.25) * np.float32(1 / (1 - 0.25))
    np.random.seed(7)
    y = F.dropout(chainrule.Variable(x), 0.25).array
    again = F.dropout(chainrule.Variable(x), 0.25).array
    assert not np.array_equal(y, again)
    assert np.array_equal(y, expected.astype(np.float32)) is chainer
