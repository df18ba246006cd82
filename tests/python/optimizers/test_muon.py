"""Muon, and what holds for every rule that makes a direction of a whole tensor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule
from chainrule import _core, optimizer_hooks, optimizers, serializers

RULES = {
    "Muon": {"lr": 0.05, "weight_decay": 0.1},
    "Adafactor": {"lr": 0.05, "beta1": 0.5},
    "SOAP": {"lr": 0.05, "precondition_frequency": 2},
}


def make_link(shapes: dict, dtype: str = "float32", seed: int = 0) -> chainrule.Link:
    rng = np.random.RandomState(seed)
    link = chainrule.Link()
    with link.init_scope():
        for name, shape in shapes.items():
            setattr(link, name, chainrule.Parameter(rng.uniform(-1, 1, shape).astype(dtype)))
    return link


def feed(link: chainrule.Link, step: int, dtype: str | None = None) -> None:
    rng = np.random.RandomState(100 + step)
    for param in sorted(link.params(), key=lambda p: p.name):
        grad = rng.uniform(-1, 1, param.shape).astype(dtype or param.dtype)
        param.grad = grad.astype(param.dtype)


def train(optimizer, link, first: int, last: int) -> None:
    for step in range(first, last + 1):
        feed(link, step)
        optimizer.update()


def values(link: chainrule.Link) -> dict[str, bytes]:
    return {param.name: param.array.tobytes() for param in link.params()}


def states(link: chainrule.Link) -> dict[str, bytes]:
    return {
        f"{param.name}/{name}": state.tobytes()
        for param in link.params()
        for name, state in (param.update_rule.state or {}).items()
    }


SHAPES = {"a": (24, 7), "b": (7, 24), "c": (24, 7), "d": (130, 120)}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "options"),
    [*((name, RULES[name]) for name in RULES), ("Muon", {"ns_bfloat16": True})],
)
def test_the_number_of_threads_and_the_others_change_no_bit(name, options, dtype):
    results = []
    threads = _core.num_threads()
    try:
        for count in (1, 2, 3):
            _core.set_num_threads(count)
            link = make_link(SHAPES, dtype)
            train(getattr(optimizers, name)(**options).setup(link), link, 1, 3)
            results.append((values(link), states(link)))
        _core.set_num_threads(2)
        alone = make_link(SHAPES, dtype)
        getattr(optimizers, name)(**options).setup(alone)
        for step in range(1, 4):
            feed(alone, step)
            for param in alone.params():
                param.update_rule.update(param)
        results.append((values(alone), states(alone)))
    finally:
        _core.set_num_threads(threads)
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("name", RULES)
def test_hooks_act_on_what_the_direction_is_made_of(name):
    """Scaled, decayed and clipped in the sweep, or by hand before it."""
    link, by_hand = make_link(SHAPES), make_link(SHAPES)
    optimizer = getattr(optimizers, name)(**RULES[name]).setup(link)
    optimizer.add_hook(optimizer_hooks.GradientClipping(3.0))
    optimizer.add_hook(optimizer_hooks.WeightDecay(0.25))
    link.a.update_rule.add_hook(optimizer_hooks.GradientHardClipping(-0.1, 0.2))
    reference = getattr(optimizers, name)(**RULES[name]).setup(by_hand)
    for step in (1, 2, 3):
        feed(link, step)
        feed(by_hand, step)
        grads = [param.grad.astype(np.float64) for param in by_hand.params()]
        norm = np.sqrt(sum((g**2).sum() for g in grads))
        for param in by_hand.params():
            grad = param.grad * np.float32(3.0 / norm) + np.float32(0.25) * param.array
            param.grad = grad.clip(-0.1, 0.2) if param.name == "a" else grad
        before = link.a.grad.copy()
        optimizer.update()
        reference.update()
        np.testing.assert_array_equal(link.a.grad, before)
        for ours, theirs in zip(link.params(), by_hand.params(), strict=True):
            np.testing.assert_allclose(ours.array, theirs.array, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", RULES)
def test_half_precision_with_and_without_a_master(name):
    start = make_link(SHAPES, "float16")
    plain, mastered, wide = (make_link(SHAPES) for _ in range(3))
    for link, dtype in ((plain, "float16"), (mastered, "float16"), (wide, "float32")):
        for ours, theirs in zip(link.params(), start.params(), strict=True):
            ours.array = theirs.array.astype(dtype)
    cls, kwargs = getattr(optimizers, name), RULES[name]
    optimizer = cls(**kwargs)
    optimizer.use_fp32_update()
    trio = [(plain, cls(**kwargs)), (mastered, optimizer), (wide, cls(**kwargs))]
    for link, made in trio:
        made.setup(link)
    for step in range(1, 6):
        for link, made in trio:
            feed(link, step, "float16")
            made.update()
    for param in wide.params():
        half = getattr(mastered, param.name)
        # The master has the bits of the float32 parameter, and the user's array is it, rounded.
        np.testing.assert_array_equal(half.update_rule._master(half), param.array)
        np.testing.assert_array_equal(half.array, param.array.astype(np.float16))
        np.testing.assert_allclose(getattr(plain, param.name).array, param.array, atol=0.02)
        for state in getattr(plain, param.name).update_rule.state.values():
            assert state.dtype in (np.float16, np.float32)


@pytest.mark.parametrize("name", RULES)
def test_resumed_from_a_file_bit_for_bit(name, tmp_path):
    link = make_link(SHAPES)
    optimizer = getattr(optimizers, name)(**RULES[name]).setup(link)
    train(optimizer, link, 1, 3)
    serializers.save_npz(tmp_path / "link.npz", link)
    serializers.save_npz(tmp_path / "optimizer.npz", optimizer)
    train(optimizer, link, 4, 6)
    other = make_link(SHAPES, seed=5)
    resumed = getattr(optimizers, name)(**RULES[name]).setup(other)
    serializers.load_npz(tmp_path / "link.npz", other)
    serializers.load_npz(tmp_path / "optimizer.npz", resumed)
    train(resumed, other, 4, 6)
    assert values(other) == values(link)
    assert states(other) == states(link)
    assert states(link)


@pytest.mark.parametrize("name", RULES)
def test_no_gradient_or_switched_off_means_untouched(name):
    link = make_link(SHAPES)
    optimizer = getattr(optimizers, name)(**RULES[name]).setup(link)
    train(optimizer, link, 1, 2)
    before, kept = values(link), states(link)
    feed(link, 3)
    link.a.cleargrad()
    link.b.update_rule.enabled = False
    optimizer.update()
    now, left = values(link), states(link)
    assert (now["a"], now["b"]) == (before["a"], before["b"])
    assert now["d"] != before["d"]
    assert {k: v for k, v in left.items() if k[0] in "ab"} == {
        k: v for k, v in kept.items() if k[0] in "ab"
    }
    assert link.a.update_rule.t == 2


@given(
    st.sampled_from(sorted(RULES)),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=4),
    st.sampled_from(["float16", "float32", "float64"]),
    st.booleans(),
)
def test_any_shape_and_layout(name, shapes, dtype, transposed):
    link, contiguous = chainrule.Link(), chainrule.Link()
    rng = np.random.RandomState(3)
    with link.init_scope(), contiguous.init_scope():
        for i, (rows, cols) in enumerate(shapes):
            array = rng.uniform(-1, 1, (cols, rows) if transposed else (rows, cols)).astype(dtype)
            array = array.T if transposed else array
            setattr(link, f"p{i}", chainrule.Parameter(array))
            setattr(contiguous, f"p{i}", chainrule.Parameter(array.copy("C")))
    for one in (link, contiguous):
        train(getattr(optimizers, name)(**RULES[name]).setup(one), one, 1, 3)
    for ours, theirs in zip(link.params(), contiguous.params(), strict=True):
        assert np.isfinite(ours.array).all()
        np.testing.assert_array_equal(ours.array, theirs.array)


def test_statistics_see_gradient_and_update():
    link, plain = make_link(SHAPES), make_link(SHAPES)
    optimizer = optimizers.Muon().setup(link)
    optimizers_plain = optimizers.Muon().setup(plain)
    for param in link.params():
        param.update_rule._observed = True
    before = link.d.array.copy()
    train(optimizer, link, 1, 1)
    train(optimizers_plain, plain, 1, 1)
    assert values(link) == values(plain)
    seen = link.d.update_rule._statistics
    assert seen["grad_squares"] == pytest.approx(np.square(link.d.grad, dtype=np.float64).sum())
    moved = (link.d.array - before).astype(np.float64)
    assert seen["update_squares"] == pytest.approx(np.square(moved).sum(), rel=1e-4)


def test_singular_values_come_close_to_one():
    rng = np.random.RandomState(0)
    for shape in ((40, 300), (300, 40), (64, 64)):
        link = chainrule.Link(w=shape)
        link.w.array[...] = 0
        optimizer = optimizers.Muon(lr=1.0, nesterov=False).setup(link)
        link.w.grad = rng.randn(*shape).astype(np.float32)
        optimizer.update()
        u, s, v = np.linalg.svd(link.w.grad, full_matrices=False)
        scale = max(1, shape[0] / shape[1]) ** 0.5
        moved = u.T @ -link.w.array @ v.T / scale
        large = s > 0.05 * s.max()
        assert np.diag(moved)[large].min() > 0.6
        assert np.diag(moved).max() < 1.3
        assert np.abs(moved - np.diag(np.diag(moved))).max() < 1e-3


def has_bfloat16() -> bool:
    """What /proc/cpuinfo says of the processor."""
    flags = Path("/proc/cpuinfo").read_text()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def moved(optimizer, grads: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """One update of zeros."""
    link = make_link({name: grad.shape for name, grad in grads.items()})
    optimizer.setup(link)
    for name, grad in grads.items():
        getattr(link, name).array[...] = 0
        getattr(link, name).grad = grad
    optimizer.update()
    return {name: getattr(link, name).array for name in grads}


def distance(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.linalg.norm(x - y) / np.linalg.norm(y))


BIG = {"w": (130, 120), "tall": (400, 96), "wide": (64, 800), "twin": (130, 120)}


def test_in_bfloat16_where_the_processor_has_it():
    rng = np.random.RandomState(1)
    grads = {name: rng.randn(*shape).astype(np.float32) for name, shape in BIG.items()}
    full = moved(optimizers.Muon(), grads)
    narrow = moved(optimizers.Muon(ns_bfloat16=True), grads)
    for name in grads:
        assert distance(narrow[name], full[name]) < 0.02
        assert (narrow[name] != full[name]).any() == has_bfloat16()
    # A rule's own value: its twin of the same shape stays in float32.
    link = make_link(BIG)
    optimizer = optimizers.Muon().setup(link)
    link.w.update_rule.hyperparam.ns_bfloat16 = True
    for name, grad in grads.items():
        getattr(link, name).array[...] = 0
        getattr(link, name).grad = grad
    optimizer.update()
    np.testing.assert_array_equal(link.w.array, narrow["w"])
    np.testing.assert_array_equal(link.twin.array, full["twin"])
    # float64 keeps its digits.
    double = {"w": grads["w"].astype(np.float64)}
    link = make_link({"w": BIG["w"]}, "float64")
    other = make_link({"w": BIG["w"]}, "float64")
    for one, flag in ((link, False), (other, True)):
        optimizers.Muon(ns_bfloat16=flag).setup(one)
        one.w.grad = double["w"]
        one.w.update_rule.update(one.w)
    np.testing.assert_array_equal(link.w.array, other.w.array)


def test_in_bfloat16_as_pytorch():
    torch = pytest.importorskip("torch")
    rng = np.random.RandomState(2)
    grads = {name: rng.randn(*shape).astype(np.float32) for name, shape in BIG.items()}
    ours = moved(optimizers.Muon(lr=0.5, ns_bfloat16=True), grads)
    for name, grad in grads.items():
        param = torch.zeros(grad.shape, requires_grad=True)
        param.grad = torch.from_numpy(grad)
        torch.optim.Muon([param], lr=0.5, weight_decay=0.0).step()
        assert distance(ours[name], param.detach().numpy()) < 0.02


@pytest.mark.parametrize("shape", [(3,), (), (4, 3, 2, 2)])
def test_refuses_what_is_no_matrix_and_changes_nothing(shape):
    link = make_link({"a": (3, 2), "z": shape})
    optimizer = optimizers.Muon().setup(link)
    feed(link, 1)
    before = values(link)
    with pytest.raises(ValueError, match=r"\[update\] /z: Muon is for matrices: .*AdamW"):
        optimizer.update()
    assert values(link) == before
    assert optimizer.t == link.a.update_rule.t == 0
    link.z.update_rule = optimizers.AdamW().create_update_rule()
    optimizer.update()
    assert link.z.update_rule.t == link.a.update_rule.t == 1
    if len(shape) > 2:
        optimizers.Muon(flatten=True).setup(link)
        link.z.update_rule.update(link.z)


@pytest.mark.parametrize(
    ("field", "value"), [("momentum", 1.0), ("ns_steps", 2.5), ("ns_steps", -1), ("eps", 0.0)]
)
def test_values_out_of_range(field, value):
    link = make_link({"a": (3, 2)})
    optimizer = optimizers.Muon().setup(link)
    train(optimizer, link, 1, 2)
    before = values(link)
    setattr(link.a.update_rule.hyperparam, field, value)
    with pytest.raises(ValueError, match=f"/a: hyperparameter '{field}' of Muon"):
        optimizer.update()
    assert values(link) == before


def test_not_a_number_spreads_over_its_matrix_alone():
    link = make_link(SHAPES)
    optimizer = optimizers.Muon().setup(link)
    feed(link, 1)
    link.a.grad[0, 0] = np.nan
    optimizer.update()
    assert np.isnan(link.a.array).all()
    assert np.isfinite(link.c.array).all()
    zero = make_link({"a": (3, 2)})
    optimizers.Muon().setup(zero)
    zero.a.grad = np.zeros((3, 2), np.float32)
    start = zero.a.array.copy()
    zero.a.update_rule.update(zero.a)
    np.testing.assert_array_equal(zero.a.array, start)
