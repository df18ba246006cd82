"""What all rules have in common: lazy parameters, hooks, switches, halves, order."""

from __future__ import annotations

import copy
import pickle

import ml_dtypes
import numpy as np
import pytest

import chainrule
import rule_table
from chainrule import _core, optimizer_hooks, optimizers

# Muon is for matrices alone; test_golden_tensor_rules.py has the like for it.
CLASSES = sorted(n for row in rule_table.ROWS for n in row.classes if n != "Muon")
HALVES = (np.float16, ml_dtypes.bfloat16)
#: Rules whose parameters share an estimate, so that each step depends on all of them.
TOGETHER = ("Prodigy",)
#: Rules that look at whole arrays.
WHOLE = ("Adafactor", "LAMB", "LARS", "Prodigy", "SOAP", "StableAdamW")


def numbers(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers that every dtype holds exactly."""
    return np.asarray(np.random.RandomState(seed).randint(-100, 100, shape), np.float32) / 64


def make(cls: str, dtype: type = np.float32, fp32: bool = False, **shapes):
    link = chainrule.Link()
    with link.init_scope():
        for i, (name, shape) in enumerate((shapes or {"a": (3, 4), "b": (5,)}).items()):
            setattr(link, name, chainrule.Parameter(np.array(numbers(i, shape), dtype)))
    optimizer = getattr(optimizers, cls)()
    if fp32:
        optimizer.use_fp32_update()
    return link, optimizer.setup(link)


def give_gradients(link: chainrule.Link, step: int) -> None:
    for i, param in enumerate(link.params()):
        param.grad = np.array(numbers(97 * step + i, param.shape), param.dtype)


def train(link, optimizer, steps) -> None:
    for step in steps:
        give_gradients(link, step)
        optimizer.update()


def assert_same(one: chainrule.Link, other: chainrule.Link) -> None:
    for (path, mine), its in zip(one.namedparams(), other.params(), strict=True):
        assert mine.update_rule.t == its.update_rule.t
        np.testing.assert_array_equal(mine.array, its.array, err_msg=path)
        for name, state in (mine.update_rule.state or {}).items():
            np.testing.assert_array_equal(state, its.update_rule.state[name], f"{path}/{name}")
        assert mine.update_rule._scalars == its.update_rule._scalars


@pytest.mark.parametrize("cls", CLASSES)
def test_a_lazy_parameter_is_like_an_eager_one(cls):
    eager, optimizer = make(cls, a=(3, 4))
    lazy = chainrule.Link(a=None)
    other = getattr(optimizers, cls)().setup(lazy)
    lazy.a.initialize((3, 4))
    lazy.a.array[...] = eager.a.array
    train(eager, optimizer, range(5))
    train(lazy, other, range(5))
    assert_same(eager, lazy)


@pytest.mark.parametrize("cls", CLASSES)
def test_all_together_and_one_by_one_are_the_same_bits(cls):
    shapes = {"a": (3, 4)} if cls in TOGETHER else {"a": (3, 4), "b": (5,), "c": (2, 3000)}
    one, optimizer = make(cls, **shapes)
    other, _ = make(cls, **shapes)
    for step in range(4):
        give_gradients(one, step)
        give_gradients(other, step)
        optimizer.update()
        for param in other.params():
            param.update_rule.update(param)
    assert_same(one, other)


@pytest.mark.parametrize("cls", CLASSES)
def test_hooks_see_and_change_the_gradient_first(cls):
    one, optimizer = make(cls)
    other, by_hand = make(cls)
    optimizer.add_hook(optimizer_hooks.WeightDecay(0.25))
    optimizer.add_hook(optimizer_hooks.GradientHardClipping(-1, 1))
    for step in range(4):
        give_gradients(one, step)
        give_gradients(other, step)
        for param in other.params():
            param.grad = np.clip(param.grad + np.float32(0.25) * param.array, -1, 1)
        optimizer.update()
        by_hand.update()
    for mine, its in zip(one.params(), other.params(), strict=True):
        np.testing.assert_allclose(mine.array, its.array, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("cls", CLASSES)
def test_a_hook_in_python_gives_the_same_bits(cls):
    one, optimizer = make(cls, a=(3, 4))
    other, beside = make(cls, a=(3, 4))
    other.a.update_rule.add_hook(lambda rule, param: None, name="in python")
    train(one, optimizer, range(5))
    train(other, beside, range(5))
    assert_same(one, other)


@pytest.mark.parametrize("cls", CLASSES)
def test_what_is_off_or_without_a_gradient_stands_still(cls):
    link, optimizer = make(cls, a=(3, 4), b=(5,), c=(2,))
    train(link, optimizer, range(3))
    link.a.update_rule.enabled = False
    before = copy.deepcopy(optimizer).target
    give_gradients(link, 3)
    link.b.cleargrad()
    optimizer.update()
    for name in "ab":
        mine, its = getattr(link, name), getattr(before, name)
        np.testing.assert_array_equal(mine.array, its.array)
        for key, state in (its.update_rule.state or {}).items():
            np.testing.assert_array_equal(mine.update_rule.state[key], state)
        assert mine.update_rule.t == 3
    assert link.c.update_rule.t == 4
    assert not np.array_equal(link.c.array, before.c.array)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("cls", CLASSES)
def test_a_master_copy_goes_the_way_of_a_float32_parameter(cls, dtype):
    half, optimizer = make(cls, dtype, fp32=True)
    single, other = make(cls)
    for mine, its in zip(half.params(), single.params(), strict=True):
        its.array[...] = mine.array.astype(np.float32)
    for step in range(6):
        give_gradients(half, step)
        for mine, its in zip(half.params(), single.params(), strict=True):
            its.grad = mine.grad.astype(np.float32)
        optimizer.update()
        other.update()
    for mine, its in zip(half.params(), single.params(), strict=True):
        assert mine.dtype == dtype
        np.testing.assert_array_equal(mine.update_rule._master_copy, its.array)
        np.testing.assert_array_equal(mine.array, its.array.astype(dtype))
        for name, state in (its.update_rule.state or {}).items():
            assert state.dtype == np.float32
            np.testing.assert_array_equal(mine.update_rule.state[name], state)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("cls", sorted(set(CLASSES) - {"RMSprop", "AdaGrad", "Prodigy"}))
def test_half_precision_stays_finite(cls, dtype):
    link, optimizer = make(cls, dtype)
    train(link, optimizer, range(20))
    for param in link.params():
        assert param.array.dtype == dtype
        assert np.isfinite(param.array.astype(np.float32)).all()


@pytest.mark.parametrize("cls", CLASSES)
def test_copies_go_on_alike(cls):
    link, optimizer = make(cls, np.float16, fp32=True)
    train(link, optimizer, range(3))
    others = [copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))]
    train(link, optimizer, range(3, 6))
    for other in others:
        train(other.target, other, range(3, 6))
        assert_same(link, other.target)


@pytest.mark.parametrize("cls", CLASSES)
def test_empty_and_zero_dimensional_parameters(cls):
    link, optimizer = make(cls, a=(), b=(0, 3), c=(1,))
    train(link, optimizer, range(4))
    for param in link.params():
        assert np.isfinite(param.array).all()
        assert param.update_rule.t == 4


@pytest.mark.parametrize("cls", WHOLE)
def test_zeros_do_not_divide(cls):
    link, optimizer = make(cls, a=(4,), b=(3,))
    link.a.array[...] = 0
    for step in range(3):
        give_gradients(link, step)
        link.b.grad[...] = 0
        optimizer.update()
    assert np.isfinite(link.a.array).all()
    assert np.isfinite(link.b.array).all()
    assert (link.a.array != 0).any()


# SOAP's eigenvectors in the null space of a long side's statistics are arbitrary.
@pytest.mark.parametrize("cls", [cls for cls in WHOLE if cls != "SOAP"])
def test_whole_array_rules_on_a_large_array(cls):
    """More than one chunk, against the same numbers in float64."""
    results = []
    for dtype in (np.float32, np.float64):
        link, optimizer = make(cls, dtype, a=(3, 5000))
        train(link, optimizer, range(5))
        results.append(link.a.array)
    np.testing.assert_allclose(results[0], results[1], rtol=3e-5, atol=3e-6)


def test_rules_that_measure_are_marked():
    for cls in CLASSES:
        rule = getattr(optimizers, cls)().create_update_rule()
        assert type(rule).is_elementwise == (cls not in WHOLE), cls
    assert set(WHOLE) <= set(_core.update_rules())


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_what_lamb_measures_in_half_precision_is_what_it_moves_by(dtype):
    link = chainrule.Link()
    with link.init_scope():
        link.w = chainrule.Parameter(np.linspace(0.1, 1, 512).astype(dtype))
    optimizer = optimizers.LAMB(alpha=0.001).setup(link)
    optimizer.observe()
    random = np.random.RandomState(0)
    for _ in range(4):
        link.w.grad = (1e-3 * random.randn(512)).astype(dtype)
        optimizer.update()
        # Squares of these gradients are less than what float16 holds.
        assert link.w.update_rule.statistics["update_ratio"] == pytest.approx(1e-3, rel=1e-4)
    assert {state.dtype for state in link.w.update_rule.state.values()} == {np.dtype(np.float32)}
