"""Averages against PyTorch, and what holds for every hook that keeps arrays."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import chainrule
from chainrule import optimizer_hooks, optimizers, serializers
from chainrule.optimizer_hooks import EMA, Lookahead
from golden import golden_cases
from golden import golden_weight_hooks as golden

KEPT = {"EMA": (lambda: EMA(0.9), "average"), "Lookahead": (lambda: Lookahead(0.4, 3), "slow")}


@pytest.fixture(scope="module")
def values() -> dict[str, np.ndarray]:
    return golden_cases.load("weight_hooks")


def make_link(dtype: str = "float32") -> chainrule.Link:
    link = chainrule.Link()
    with link.init_scope():
        for name, value in golden.start(dtype).items():
            setattr(link, name, chainrule.Parameter(value))
    return link


def feed(link: chainrule.Link, step: int) -> None:
    dtype = link.w.dtype.name
    for name, grad in golden.gradients(dtype)[step - 1].items():
        getattr(link, name).grad = grad


def train(optimizer, link, first, last) -> None:
    for step in range(first, last + 1):
        feed(link, step)
        optimizer.update()


def setup(name: str, place: str, dtype: str = "float32"):
    """An optimizer whose hook stands on it, on each rule by itself, or one on all rules."""
    link = make_link(dtype)
    optimizer = optimizers.MomentumSGD(**golden.MOMENTUM).setup(link)
    make = KEPT[name][0]
    hook = make()
    if place == "optimizer":
        optimizer.add_hook(hook)
    else:
        for param in link.params():
            param.update_rule.add_hook(hook if place == "selection" else make())
            if place == "python":  # another hook takes the rule out of the table
                param.update_rule.add_hook(lambda rule, param: None, name="mine")
    return link, optimizer


def everything(link) -> dict[str, bytes]:
    out = {}
    for param in link.params():
        out[param.name] = param.array.tobytes()
        for hook, arrays in param.update_rule._hook_states.items():
            for name, array in arrays.items():
                out[f"{param.name}/{hook}/{name}"] = array.tobytes()
    return out


@pytest.mark.parametrize("dtype", golden.DTYPES)
@pytest.mark.parametrize("place", ["optimizer", "rules", "selection", "python"])
def test_equal_to_pytorch(values, place, dtype):
    link, optimizer = setup("EMA", place, dtype)
    for step in range(1, max(golden.STEPS) + 1):
        train(optimizer, link, step, step)
        if step not in golden.STEPS:
            continue
        for param in link.params():
            average = EMA.average_of(param.update_rule)
            theirs = values[f"EMA/{dtype}/step{step}/{param.name}"]
            assert average.dtype == dtype
            np.testing.assert_allclose(average, theirs, rtol=0, atol=16 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", KEPT)
def test_all_places_give_the_same_bits(name):
    results = []
    for place in ("optimizer", "rules", "selection", "python"):
        link, optimizer = setup(name, place)
        train(optimizer, link, 1, 7)
        results.append(everything(link))
    link, optimizer = setup(name, "rules")  # one by one
    for step in range(1, 8):
        feed(link, step)
        for param in link.params():
            param.update_rule.update(param)
    results.append(everything(link))
    assert all(result == results[0] for result in results)
    assert len(results[0]) == 6


@pytest.mark.parametrize("place", ["optimizer", "selection"])
@pytest.mark.parametrize("name", KEPT)
def test_resumed_from_a_file_bit_for_bit(name, place, tmp_path):
    link, optimizer = setup(name, place)
    train(optimizer, link, 1, 4)
    serializers.save_npz(tmp_path / "link.npz", link)
    serializers.save_npz(tmp_path / "optimizer.npz", optimizer)
    with np.load(tmp_path / "optimizer.npz") as file:
        assert f"w/{name}/{KEPT[name][1]}" in file
    train(optimizer, link, 5, 10)
    other, resumed = setup(name, place)
    train(resumed, other, 20, 22)  # arrays of its own that have to give way
    serializers.load_npz(tmp_path / "link.npz", other)
    serializers.load_npz(tmp_path / "optimizer.npz", resumed)
    train(resumed, other, 5, 10)
    assert everything(other) == everything(link)


def misfit(name, shape, dtype):
    """A link with an array of one hook that is none for its parameter, and its optimizer."""
    link = chainrule.Link(w=shape)
    link.w.array = np.ones(shape, dtype)
    optimizer = optimizers.SGD().setup(link)
    optimizer.add_hook(KEPT[name][0]())
    return link, optimizer


@pytest.mark.parametrize("name", KEPT)
def test_arrays_that_do_not_fit_are_refused_by_the_load(name, tmp_path):
    link, optimizer = misfit(name, (3, 2), np.float32)
    link.w.grad = np.ones((3, 2), np.float32)
    optimizer.update()
    serializers.save_npz(tmp_path / "optimizer.npz", optimizer)
    other, resumed = misfit(name, (2, 2), np.float32)
    other.w.grad = np.ones((2, 2), np.float32)
    resumed.update()
    before = everything(other)
    words = rf"'w/{name}/{KEPT[name][1]}' does not fit: got float.*, expected float32 of .*\(2, 2\)"
    with pytest.raises(ValueError, match=words):
        serializers.load_npz(tmp_path / "optimizer.npz", resumed)
    assert everything(other) == before
    resumed.update()


@pytest.mark.parametrize("dtypes", [(np.float64, np.float32), (np.float32, np.float64)])
@pytest.mark.parametrize("name", KEPT)
def test_arrays_of_another_dtype_are_converted_by_the_load(name, dtypes, tmp_path):
    (_, saved), (link, resumed) = (misfit(name, (2, 2), dtype) for dtype in dtypes)
    saved.target.w.grad = np.ones((2, 2), dtypes[0])
    saved.update()
    serializers.save_npz(tmp_path / "optimizer.npz", saved)
    serializers.load_npz(tmp_path / "optimizer.npz", resumed)
    kept, loaded = (
        optimizer.target.w.update_rule._hook_states[name][KEPT[name][1]]
        for optimizer in (saved, resumed)
    )
    assert loaded.dtype == dtypes[1]
    np.testing.assert_array_equal(loaded, kept.astype(dtypes[1]))
    link.w.grad = np.ones((2, 2), dtypes[1])
    resumed.update()


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("place", ["optimizer", "rule"])
@pytest.mark.parametrize("name", KEPT)
def test_a_parameter_that_its_array_does_not_fit_is_not_updated(name, place, lazy, tmp_path):
    link = chainrule.Link(w=2)
    optimizer = optimizers.MomentumSGD().setup(link)
    owner = optimizer if place == "optimizer" else link.w.update_rule
    owner.add_hook(KEPT[name][0]())
    link.w.array[:] = 1
    link.w.grad = np.ones(2, np.float32)
    optimizer.update()
    if lazy:
        serializers.save_npz(tmp_path / "optimizer.npz", optimizer)
        link = chainrule.Link(w=None)
        optimizer = optimizers.MomentumSGD().setup(link)
        serializers.load_npz(tmp_path / "optimizer.npz", optimizer)
    link.w.array = np.ones(2, np.float64)
    link.w.grad = np.ones(2, np.float64)
    before = everything(link)
    with pytest.raises(TypeError, match=rf"\[{name}\] w: got an array of float32, expected .*64"):
        optimizer.update()
    assert everything(link) == before


@pytest.mark.parametrize("name", KEPT)
def test_a_file_without_the_hook_starts_anew(name, tmp_path):
    link = make_link()
    optimizer = optimizers.MomentumSGD(**golden.MOMENTUM).setup(link)
    train(optimizer, link, 1, 2)
    serializers.save_npz(tmp_path / "optimizer.npz", optimizer)
    other, resumed = setup(name, "optimizer")
    train(resumed, other, 1, 3)
    # The hook stays: the file's own configuration, which has none, is left out.
    serializers.load_npz(tmp_path / "optimizer.npz", resumed, ignore_names="rules.json")
    assert not any(param.update_rule._hook_states for param in other.params())
    train(resumed, other, 4, 4)


@pytest.mark.parametrize("name", KEPT)
def test_copies_and_pickles_go_their_own_way(name):
    link, optimizer = setup(name, "selection")
    train(optimizer, link, 1, 2)
    before = everything(link)
    for clone in (copy.deepcopy((link, optimizer)), pickle.loads(pickle.dumps((link, optimizer)))):
        train(clone[1], clone[0], 3, 4)
        assert everything(link) == before
        assert everything(clone[0]) != before


@pytest.mark.parametrize("name", KEPT)
def test_half_precision_follows_the_master(name):
    wide, half = make_link("float32"), chainrule.Link()
    with half.init_scope():
        for param in wide.params():
            param.array[...] = param.array.astype(np.float16)
            setattr(half, param.name, chainrule.Parameter(param.array.astype(np.float16)))
    for link in (wide, half):
        optimizer = optimizers.SGD(lr=0.01)
        optimizer.use_fp32_update()
        optimizer.setup(link).add_hook(KEPT[name][0]())
        for step in range(1, 8):
            feed(wide, step)
            for param in link.params():
                param.grad = getattr(wide, param.name).grad.astype(np.float16).astype(param.dtype)
            optimizer.update()
    for param in wide.params():
        rule = getattr(half, param.name).update_rule
        kept = rule._hook_states[name][KEPT[name][1]]
        np.testing.assert_array_equal(kept, param.update_rule._hook_states[name][KEPT[name][1]])
        assert kept.dtype == np.float32
        np.testing.assert_array_equal(
            getattr(half, param.name).array, param.array.astype(np.float16)
        )


@pytest.mark.parametrize("name", KEPT)
def test_other_layouts_and_new_arrays(name):
    link, optimizer = setup(name, "optimizer")
    plain, reference = setup(name, "optimizer")
    link.w.array = np.asfortranarray(link.w.array)
    for step in range(1, 7):
        train(optimizer, link, step, step)
        train(reference, plain, step, step)
        link.k.array = link.k.array.copy()
    assert everything(link) == everything(plain)


def test_an_array_of_another_dtype_is_refused():
    link, optimizer = setup("EMA", "optimizer")
    train(optimizer, link, 1, 1)
    link.w.array = link.w.array.astype(np.float64)
    link.w.update_rule._clear_states()
    link.w.grad = link.w.array.copy()
    with pytest.raises(TypeError, match=r"\[EMA\] w: got an array of float32, expected .*float64"):
        optimizer.update()


def test_lazy_parameters_join_when_they_are_there():
    net = chainrule.links.Linear(None, 2)
    optimizer = optimizers.SGD().setup(net)
    optimizer.add_hook(EMA(0.5))
    optimizer.add_hook(Lookahead())
    x = np.ones((3, 4), np.float32)
    for _ in range(2):
        optimizer.update(lambda: chainrule.functions.sum(net(x)))
    assert EMA.average_of(net.W.update_rule).shape == (2, 4)


def test_many_hooks_on_one_optimizer():
    link = make_link()
    optimizer = optimizers.SGD().setup(link)
    fast, slow = EMA(0.1), EMA(0.9)
    slow.name = "slow EMA"
    optimizer.add_hook(fast)
    optimizer.add_hook(slow)
    optimizer.add_hook(optimizer_hooks.WeightDecay(0.1))
    train(optimizer, link, 1, 3)
    assert set(link.w.update_rule._hook_states) == {"EMA", "slow EMA"}
    assert not np.array_equal(fast.averaged_value(link.w.update_rule), link.w.array)
    slow.decay = 0.0
    train(optimizer, link, 4, 4)
    np.testing.assert_allclose(slow.averaged_value(link.w.update_rule), link.w.array, rtol=1e-6)


@pytest.mark.parametrize("name", KEPT)
@pytest.mark.parametrize("place", ["optimizer", "rules", "python", "both"])
def test_hooks_of_one_class_keep_arrays_of_their_own(name, place, tmp_path):
    make, key = KEPT[name]

    def begin():
        link = make_link()
        return link, optimizers.MomentumSGD(**golden.MOMENTUM).setup(link)

    def add(optimizer, first, second):
        rules = [param.update_rule for param in optimizer.target.params()]
        if first is not None:
            for owner in rules if place in ("rules", "python") else [optimizer]:
                owner.add_hook(first, name="first")
        if second is not None:
            for owner in [optimizer] if place == "optimizer" else rules:
                owner.add_hook(second, name="second")
        if place == "python":
            for rule in rules:
                rule.add_hook(lambda rule, param: None, name="mine")

    def other():
        return EMA(0.5) if name == "EMA" else Lookahead(0.25, 4)

    link, optimizer = begin()
    add(optimizer, make(), other())
    train(optimizer, link, 1, 4)
    serializers.save_npz(tmp_path / "link.npz", link)
    serializers.save_npz(tmp_path / "optimizer.npz", optimizer)
    train(optimizer, link, 5, 9)
    arrays = {param.name: param.update_rule._hook_states for param in link.params()}
    assert all(set(each) == {"first", "second"} for each in arrays.values())
    if name == "EMA":  # they do not change the parameters, so each may stand alone
        for which, hook in (("first", make()), ("second", other())):
            alone, lonely = begin()
            add(lonely, *(hook, None) if which == "first" else (None, hook))
            train(lonely, alone, 1, 9)
            for param in alone.params():
                average = EMA.average_of(param.update_rule, which)
                np.testing.assert_array_equal(average, arrays[param.name][which][key])
                value = hook.averaged_value(param.update_rule)
                np.testing.assert_array_equal(value, average)
            with lonely.averaged():
                np.testing.assert_array_equal(alone.w.array, arrays["w"][which][key])
    # The file makes the hooks, except those in Python.
    again, resumed = begin()
    if place == "python":
        add(resumed, make(), other())
    serializers.load_npz(tmp_path / "link.npz", again)
    serializers.load_npz(tmp_path / "optimizer.npz", resumed)
    train(resumed, again, 5, 9)
    assert everything(again) == everything(link)


@pytest.mark.parametrize("name", KEPT)
def test_hooks_that_would_share_an_array_are_refused(name):
    make = KEPT[name][0]
    link = make_link()
    optimizer = optimizers.SGD().setup(link)
    optimizer.add_hook(make())
    link.w.update_rule.add_hook(make())
    feed(link, 1)
    before = everything(link)
    with pytest.raises(ValueError, match=rf"w: the optimizer and the rule .*'{name}'.*name=\.\.\."):
        optimizer.update()
    assert everything(link) == before
    link.w.update_rule.remove_hook(name)
    link.w.update_rule.add_hook(make(), name="own")
    optimizer.update()
    assert set(link.w.update_rule._hook_states) == {name, "own"}
    hook = make()
    optimizer.add_hook(hook, name="one")
    optimizer.add_hook(hook, name="two")
    with pytest.raises(ValueError, match=f"one {name} stands there twice, as 'two'"):
        optimizer.update()
    with pytest.raises(ValueError, match=f"{name} works on updated parameters: got timing 'pre'"):
        optimizer.add_hook(make(), name="early", timing="pre")


def test_one_hook_may_have_other_names_on_other_rules(tmp_path):
    link = make_link()
    optimizer = optimizers.SGD().setup(link)
    hook = EMA(0.5)
    for param in link.params():
        param.update_rule.add_hook(hook, name=f"of {param.name}")
    train(optimizer, link, 1, 3)
    for param in link.params():
        assert set(param.update_rule._hook_states) == {f"of {param.name}"}
        average = EMA.average_of(param.update_rule, f"of {param.name}")
        assert hook.averaged_value(param.update_rule) is average


@pytest.mark.parametrize("decay", [-0.1, 1.5, float("nan")])
def test_decay_out_of_range(decay):
    with pytest.raises(ValueError, match=r"\[EMA\] decay: got"):
        EMA(decay)


@pytest.mark.parametrize("on_rule", [False, True])
def test_what_is_not_updated_is_not_averaged(on_rule):
    link = chainrule.Link(a=1, b=1)
    link.a.array[:] = link.b.array[:] = 0
    optimizer = optimizers.SGD(lr=1.0).setup(link)
    for owner in [p.update_rule for p in link.params()] if on_rule else [optimizer]:
        owner.add_hook(EMA(0.5))
    for _ in range(2):
        link.a.grad = np.full(1, -1, np.float32)
        optimizer.update()
    assert EMA.average_of(link.b.update_rule) is None  # it begins with the first update
    link.b.array[:] = 8
    link.a.cleargrad()
    link.b.grad = np.full(1, -1, np.float32)
    optimizer.update()
    assert EMA.average_of(link.a.update_rule) == 1.5
    assert EMA.average_of(link.b.update_rule) == 9
