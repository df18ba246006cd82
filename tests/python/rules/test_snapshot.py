"""Snapshots of optimizers: the configuration comes back, to the bit, or nothing changes."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule
from chainrule import optimizer_hooks, optimizers, schedules, serializers
from chainrule.rules.snapshot import KEY
from golden import golden_cases as golden
from random_configurations import configurations, configure, everything, make_net, picture, train
from small_links import make_link


def saved(*objects) -> list[io.BytesIO]:
    files = []
    for obj in objects:
        files.append(io.BytesIO())
        serializers.save_npz(files[-1], obj)
        files[-1].seek(0)
    return files


def spoilt(file: io.BytesIO, **changes) -> io.BytesIO:
    """The same file with entries changed, or left out where a change is None."""
    with np.load(file) as archive:
        arrays = {name: archive[name] for name in archive.files}
    file.seek(0)
    for name, change in changes.items():
        name = name.replace("__", "/").replace("KEY", KEY)
        if change is None:
            del arrays[name]
        else:
            arrays[name] = np.asarray(change)
    out = io.BytesIO()
    np.savez(out, **arrays)
    out.seek(0)
    return out


@pytest.mark.slow
# Some configurations diverge, alike on both sides.
@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")
@settings(max_examples=60, deadline=None)
@given(configurations(), configurations(), configurations(), st.integers(0, 3), st.booleans())
def test_an_interruption_changes_no_bit(first, second, present, steps, same_class):
    """Train, configure, train, save, load into any other configuration, train on."""
    one = optimizers.Adam(alpha=0.01).setup(make_net())
    configure(one, first)
    train(one, steps, seed=1)
    configure(one, second)
    train(one, steps, seed=2)
    model, state = saved(one.target, one)
    other = (optimizers.Adam if same_class else optimizers.MomentumSGD)().setup(make_net(9))
    configure(other, present)
    serializers.load_npz(model, other.target)
    report = serializers.load_npz(state, other)
    assert report.unfit == []
    assert everything(other) == everything(one)
    if same_class:
        assert picture(other) == picture(one)
    # What a parameter's rule was before it was switched on again is part of it, too.
    for optimizer in (one, other):
        optimizer.rules.enabled = True
        train(optimizer, 3, seed=3)
    assert everything(other) == everything(one)


def test_an_override_and_everything_else_by_name():
    def make():
        return optimizers.Adam().setup(make_net())

    one = make()
    one.rules["/l1/*"].hyperparam.alpha = 0.3
    one.rules["/l1/b"].enabled = False
    one.rules["/l2/*"].use(optimizers.AMSGrad(alpha=0.7))
    one.rules["/l2/b"].use(optimizers.SGD(lr=0.1))
    one.rules["/*/W"].add_hook(optimizer_hooks.WeightDecay(0.1))
    one.rules["/*/W"].fp32_update = True
    other = make()
    report = serializers.load_npz(saved(one)[0], other)
    assert report.replaced == ["/l2/b: Adam -> SGD"]
    assert "replaced /l2/b: Adam -> SGD" in str(report)
    assert KEY in report.loaded
    assert picture(other) == picture(one)
    assert other.target.l1.b.frozen
    assert other.target.l2.b.update_rule.hyperparam.lr == 0.1


def test_expressions_and_who_set_them():
    one = optimizers.SGD(schedules.cosine(0.1, 0.0, 100)).setup(make_net())
    one.rules["/l1/*"].hyperparam.lr = chainrule.inherit * 0.1
    one.rules["/l2/*"].enabled = schedules.after(3)
    train(one, 2, seed=1)
    other = optimizers.SGD().setup(make_net())
    model, state = saved(one.target, one)
    serializers.load_npz(model, other.target)
    serializers.load_npz(state, other)
    for path in ("/l1/W", "/l2/b"):
        for name in ("lr", "enabled"):
            assert other.explain(path, name) == one.explain(path, name)
    assert "set by rules['/l1/*']" in other.explain("/l1/W", "lr")
    assert other.target.l2.W.frozen
    for optimizer in (one, other):
        train(optimizer, 4, seed=2)
    assert not other.target.l2.W.frozen
    assert everything(other) == everything(one)


def test_a_loaded_switch_counts_for_the_first_forward_pass():
    """The rules of a second optimizer follow the count of the one that updates them."""

    def make():
        optimizer = optimizers.SGD(lr=0.5).setup(make_link(a=1, b=1))
        optimizer.rules["/b"].use(optimizers.MomentumSGD(schedules.linear(1.0, 0.0, 100)))
        optimizer.rules["/b"].enabled = schedules.after(3)
        return optimizer

    def step(optimizer):
        link = optimizer.target
        optimizer.update(lambda: (link.a * 2 + link.b * 3).sum())

    one = make()
    for _ in range(5):
        step(one)
    assert one.target.b.update_rule.t == 2
    for present in (make, lambda: optimizers.SGD().setup(make_link(a=1, b=1))):
        other = present()
        model, state = saved(one.target, one)
        serializers.load_npz(model, other.target)
        serializers.load_npz(state, other)
        assert not other.target.b.frozen
        assert other.rules["/b"].hyperparam.lr == one.rules["/b"].hyperparam.lr == 0.95
        step(other)
        assert other.target.b.update_rule.t == 3


@chainrule.elementwise_rule
def Traced(p, g, *, lr=0.01):
    return p - lr * g


@pytest.mark.parametrize("name", ["Traced", "SGD"])
def test_values_shared_by_rules_that_are_not_built_in(name):
    """The optimizer that they fall back to; one may have the name of a built-in one."""
    rule = chainrule.elementwise_rule(name=name)(Traced.function)
    one = optimizers.Adam().setup(make_net())
    one.rules["/l1/*"].use(rule(lr=0.125))
    other = optimizers.Adam().setup(make_net())
    mine = rule()
    other.rules["/l1/*"].use(mine)
    serializers.load_npz(*saved(one), other)
    assert [r.hyperparam.lr for r in other.rules["/l1/*"]] == [0.125, 0.125]
    mine.lr = 0.5
    assert [r.hyperparam.lr for r in other.rules["/l1/*"]] == [0.5, 0.5]
    # Where each stands alone, the values are made anew.
    alone = optimizers.Adam().setup(make_net())
    for param in alone.target.l1.params():
        param.update_rule = rule().create_update_rule()
    serializers.load_npz(*saved(one), alone)
    assert [r.hyperparam.lr for r in alone.rules["/l1/*"]] == [0.125, 0.125]
    with pytest.raises(KeyError, match="no algorithm"):
        serializers.load_npz(*saved(one), optimizers.Adam().setup(make_net()))


def test_updates_left_out_are_counted_on():
    one, other = (optimizers.SGD().setup(make_link(w=2, v=1)) for _ in range(2))
    one.rules.on_nonfinite = other.rules.on_nonfinite = "skip_param"
    for optimizer, name in ((one, "w"), (other, "v"), (other, "v")):
        param = getattr(optimizer.target, name)
        param.grad[0] = np.nan
        optimizer.update()
    serializers.load_npz(*saved(one), other)
    assert {r.skipped for r in other.rules["/w"]} == {1}
    assert {r.skipped for r in other.rules["/v"]} == {0}
    (file,) = saved(one)
    bad = spoilt(file, v__t=np.zeros(3))
    other.target.v.update_rule.skipped = 5
    with pytest.raises((TypeError, ValueError)):
        serializers.load_npz(bad, other)
    assert other.target.v.update_rule.skipped == 5


def test_an_estimate_that_rules_share_comes_back_for_all_of_them():
    """Also for one that was not updated yet."""
    one, other = (optimizers.Prodigy().setup(make_link(w=2, v=1)) for _ in range(2))
    one.rules["/w"].enabled = False
    one.update()
    one.update()
    serializers.load_npz(*saved(one), other)
    for name in "wv":
        mine, its = (getattr(each.target, name).update_rule._scalars for each in (one, other))
        assert mine["d"] > 0
        assert mine == its


def test_adabounds_first_rate_comes_back():
    one = optimizers.AdaBound(alpha=0.1).setup(make_net())
    one.alpha = 0.05
    other = optimizers.AdaBound(alpha=0.05).setup(make_net())
    serializers.load_npz(saved(one)[0], other)
    assert other.target.l1.W.update_rule.initial_alpha == 0.1


def test_loss_scaling_goes_on():
    one = optimizers.SGD().setup(make_link(w=1))
    one.loss_scaling(interval=10)
    for _ in range(3):
        one.update(lambda: one.target.w.sum())
    assert one._loss_scale > 1
    other = optimizers.SGD().setup(make_link(w=1))
    serializers.load_npz(saved(one)[0], other)
    for name in ("_loss_scale", "_loss_scaling_is_dynamic", "_loss_scaling_multiplier"):
        assert getattr(other, name) == getattr(one, name)


def test_chainers_files_keep_the_present_configuration():
    file = golden.HERE / "snapshots" / "adam_optimizer.npz"
    chain = chainrule.Chain(l1=make_link(W=(4, 3), b=4), l2=make_link(W=(2, 4), b=2))
    optimizer = optimizers.Adam().setup(chain)
    optimizer.rules["/l1/W"].hyperparam.alpha = 0.5
    optimizer.rules["/l1/*"].add_hook(optimizer_hooks.WeightDecay(0.1))
    before = picture(optimizer)
    for strict in (True, False):
        report = serializers.load_npz(file, optimizer, strict=strict)
        assert picture(optimizer) == before
        assert (report.missing, report.unused) == ([], [])


def test_files_under_chainers_semantics_have_chainers_keys():
    optimizer = optimizers.Adam().setup(make_link(w=1))
    optimizer.update()
    with chainrule.using_config("chainer_semantics", True):
        (file,) = saved(optimizer)
    with np.load(file) as archive:
        assert set(archive.files) == {"t", "epoch", "w/t", "w/m", "w/v"}
    with np.load(saved(optimizer)[0]) as archive:
        assert set(archive.files) == {"t", "epoch", "w/t", "w/m", "w/v", KEY}
        data = json.loads(str(archive[KEY]))
    assert data["rules"]["/w"] == {"algorithm": "Adam", "scalars": {"initial_alpha": 0.001}}


def test_an_optimizer_below_another_object():
    class Trainer:
        def __init__(self):
            self.optimizer = optimizers.SGD().setup(make_link(w=1))

        def serialize(self, serializer):
            self.optimizer.serialize(serializer["updater"]["optimizer:main"])

    one, other = Trainer(), Trainer()
    one.optimizer.rules.hyperparam.lr = 0.5
    (file,) = saved(one)
    with np.load(file) as archive:
        assert f"updater/optimizer:main/{KEY}" in archive.files
    report = serializers.load_npz(file, other)
    assert report.unused == []
    assert other.optimizer.rules.hyperparam.lr == 0.5


def test_the_entry_may_be_ignored():
    one, other = (optimizers.SGD(lr=lr).setup(make_link(w=1)) for lr in (0.5, 0.25))
    report = serializers.load_npz(saved(one)[0], other, ignore_names=KEY)
    assert report.ignored == [KEY]
    assert other.lr == 0.25


def _changed(file, change):
    with np.load(file) as archive:
        data = json.loads(str(archive[KEY]))
    file.seek(0)
    change(data)
    return spoilt(file, KEY=json.dumps(data))


def _scaling(file, **values):
    return _changed(file, lambda data: data["loss_scaling"].update(values))


FAILURES = {
    "no JSON": (lambda file: spoilt(file, KEY="{"), ValueError,
                f"npz file: entry '{KEY}': damaged"),
    "no plan": (lambda file: spoilt(file, KEY="[]"), ValueError, "got list, expected a dict"),
    "a number": (lambda file: spoilt(file, KEY=3.5), ValueError, "got float, expected a dict"),
    "a path": (lambda file: _changed(file, lambda d: d["rules"].update({"/x": {}})), ValueError,
               "/x: no algorithm"),
    "a hook": (lambda file: _changed(file, lambda d: d["hooks"].__setitem__(0, {"kind": "h"})),
               KeyError, f"entry '{KEY}': /l1/W: hook 'WeightDecay' \\(h\\) is not built in"),
    "parents": (lambda file: _changed(file, lambda d: d["parents"].append({})), ValueError,
                r"parents\[0\]: got \{\}, expected a dict with an 'algorithm'"),
    "loss scaling": (lambda file: _changed(file, lambda d: d.update(loss_scaling="x")), ValueError,
                     "'loss_scaling': got 'x', expected a dict"),
    "a loss scale": (lambda file: _scaling(file, loss_scale=-1), ValueError,
                     "loss_scale: got -1, expected a positive number or None"),
    "no loss scale": (lambda file: _scaling(file, loss_scaling_is_dynamic=True, loss_scale=None),
                      ValueError, "loss_scale: got None, expected a number to go on from"),
    "a flag": (lambda file: _scaling(file, loss_scaling_is_dynamic="x"), ValueError,
               "loss_scaling_is_dynamic: got 'x', expected True or False"),
    # After the configuration has been applied.
    "a count": (lambda file: spoilt(file, l2__b__t=None), KeyError, "no entry 'l2/b/t'"),
    "a state": (lambda file: spoilt(file, l2__b__m=np.zeros((1, 2), np.float32)), ValueError,
                r"entry 'l2/b/m' does not fit: of the wrong shape: got \(1, 2\), expected \(1,\)"),
    "a state that broadcasts": (lambda file: spoilt(file, l1__W__v=np.zeros((), np.float32)),
                                ValueError, "entry 'l1/W/v' does not fit"),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILURES)
def test_a_failed_load_changes_nothing(case):
    spoil, error, message = FAILURES[case]
    one = optimizers.Adam(alpha=0.5).setup(make_net())
    one.rules["/l1/*"].add_hook(optimizer_hooks.WeightDecay(0.1))
    one.rules["/l1/W"].hyperparam.alpha = 0.1
    train(one, 2, seed=1)
    one.loss_scaling(scale=8.0)
    file = spoil(saved(one)[0])
    other = optimizers.Adam(alpha=0.25).setup(make_net(3))
    other.rules["/l2/*"].use(optimizers.MomentumSGD())
    other.rules["/l2/W"].add_hook(optimizer_hooks.Lasso(0.5))
    other.rules["/l2/W"].enabled = False
    if case in ("a state", "a state that broadcasts"):
        assert all(rule.state is None for rule in other.rules)
    else:
        train(other, 1, seed=2)
    rules, before, contents = list(other.rules), picture(other), everything(other)
    with pytest.raises(error, match=message):
        serializers.load_npz(file, other)
    assert list(other.rules) == rules
    assert picture(other) == before
    assert everything(other) == contents
    assert other._loss_scale is None
    serializers.load_npz(saved(one)[0], other)  # a sound one loads


def test_what_does_not_fit_may_be_left_out():
    one = optimizers.SGD(lr=0.5).setup(make_net())
    one.rules["/l1/W"].add_hook(lambda rule, param: None, "mine")
    other = optimizers.SGD().setup(make_net())
    with pytest.raises(KeyError, match=r"'mine' .* is not built in: add it before"):
        serializers.load_npz(saved(one)[0], other)
    report = serializers.load_npz(saved(one)[0], other, strict=False)
    assert len(report.unfit) == 1
    assert "unfit" in str(report)
    assert other.lr == 0.5


def test_hooks_of_the_users_stay_where_they_are():
    def mine(rule, param):
        pass

    def make():
        optimizer = optimizers.SGD().setup(make_net())
        optimizer.rules["/l1/*"].add_hook(mine, "mine")
        optimizer.add_hook(lambda opt: None, "all")
        return optimizer

    one, other = make(), make()
    one.rules["/l1/W"].remove_hook("mine")
    serializers.load_npz(saved(one)[0], other)
    assert other.target.l1.W.update_rule.hooks == {}
    assert other.target.l1.b.update_rule.hooks == {"mine": mine}
    assert list(other._hookable.pre) == ["all"]


def test_states_of_a_rule_in_python_are_checked():
    class Rule(chainrule.UpdateRule):
        def init_state(self, param):
            self.state["s"] = np.zeros_like(param.array)

        def update_core_cpu(self, param):
            self.state["s"] += param.grad

    def make():
        link = make_link(w=3)
        link.w.update_rule = Rule()
        optimizer = optimizers.SGD()
        chainrule.Optimizer.setup(optimizer, link)
        return optimizer

    one, other = make(), make()
    one.update()
    (file,) = saved(one)
    with pytest.raises(ValueError, match=r"entry 'w/s' does not fit: got \(1,\), expected \(3,\)"):
        serializers.load_npz(spoilt(file, w__s=np.zeros(1, np.float32)), other)
    assert other.target.w.update_rule.state is None
    file.seek(0)
    serializers.load_npz(file, other)
    np.testing.assert_array_equal(other.target.w.update_rule.state["s"], np.ones(3))


def test_states_of_a_parameter_without_an_array_are_taken_as_they_are():
    one = optimizers.Adam().setup(make_link(w=3))
    one.update()
    link = chainrule.Link(w=None)
    other = optimizers.Adam().setup(link)
    serializers.load_npz(saved(one)[0], other)
    link.w.initialize((3,))
    link.w.array[...] = one.target.w.array
    link.w.grad = np.ones(3, np.float32)
    one.update()
    other.update()
    np.testing.assert_array_equal(link.w.array, one.target.w.array)


def test_another_kind_of_deserializer():
    class Dict(chainrule.Deserializer):
        def __init__(self, target, path=""):
            self.target, self.path = target, path

        def __getitem__(self, key):
            return Dict(self.target, self.path + key.strip("/") + "/")

        def __call__(self, key, value):
            found = self.target[self.path + key]
            return np.array(found) if value is None else type(value)(found)

    one = optimizers.SGD(lr=0.5).setup(make_link(w=1))
    one.rules.hyperparam.lr = 0.125
    target = serializers.DictionarySerializer()
    target.save(one)
    other = optimizers.SGD().setup(make_link(w=1))
    Dict(target.target).load(other)
    assert (other.lr, other.rules.hyperparam.lr) == (0.5, 0.125)
    del target.target[KEY]
    other.lr = 3.0
    Dict(target.target).load(other)
    assert other.lr == 3
