"""Update rules for plain NumPy arrays: the same bits as on a link, strictness, memory."""

from __future__ import annotations

import copy
import pickle

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule
from chainrule import _core, optimizer_hooks, optimizers, schedules, serializers
from chainrule.arrays import attach

SHAPES = {"w": (5, 4), "b": (5,), "s": ()}


def make(seed: int = 0, dtype: type = np.float32) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: np.asarray(rng.standard_normal(s)).astype(dtype) for name, s in SHAPES.items()}


def bits(arrays: dict[str, np.ndarray]) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in arrays.items()}


@pytest.mark.parametrize("name", _core.update_rules())
def test_numbers_are_those_of_a_link(name):
    arrays = {"w": make()["w"]}
    link = chainrule.Link()
    with link.init_scope():
        link.w = chainrule.Parameter(arrays["w"].copy())
    ours = attach(arrays, getattr(optimizers, name)())
    theirs = getattr(optimizers, name)().setup(link)
    for optimizer in (ours, theirs):
        optimizer.rules["/w"].add_hook(optimizer_hooks.WeightDecay(0.01))
    for step in range(5):
        gradient = make(100 + step)["w"]
        ours.update({"w": gradient})
        link.w.grad = gradient
        theirs.update()
    assert arrays["w"].tobytes() == link.w.array.tobytes()
    assert ours.t == 5


def test_against_the_papers_formula():
    # Lion (Chen et al., 2023), Algorithm 2, written out.
    arrays, m = make(dtype=np.float64), make(seed=1)
    p = {name: array.copy() for name, array in arrays.items()}
    m = {name: np.zeros_like(array) for name, array in p.items()}
    optimizer = attach(arrays, optimizers.Lion(lr=0.01, weight_decay=0.1))
    for step in range(20):
        gradients = make(10 + step, np.float64)
        optimizer.update(gradients)
        for name, g in gradients.items():
            p[name] -= 0.01 * (np.sign(0.9 * m[name] + 0.1 * g) + 0.1 * p[name])
            m[name] = 0.99 * m[name] + 0.01 * g
    for name, array in arrays.items():
        np.testing.assert_allclose(array, p[name], rtol=1e-12)


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a.T,
        lambda a: a[::-1],
        lambda a: a[:, ::2],
        lambda a: a[1:3, ::-2],
        lambda a: a[2],
        lambda a: np.asfortranarray(a),
        lambda a: a[None, :, None],
    ],
)
@pytest.mark.parametrize("name", ["Adam", "Muon", "Adafactor", "SGD"])
def test_views_are_updated_where_they_lie(view, name):
    base = make()["w"]
    array, plain = view(base), np.ascontiguousarray(view(base)).copy()
    if name == "Muon" and array.ndim != 2:
        pytest.skip("Muon is for matrices")
    outside = np.ones(base.shape, bool)
    if np.shares_memory(base, array):
        view(outside)[...] = False
    before = base.copy()
    on_view = attach([array], getattr(optimizers, name)())
    on_copy = attach([plain], getattr(optimizers, name)())
    for step in range(3):
        gradient = view(make(7 + step)["w"])
        on_view.update([gradient])
        on_copy.update([np.ascontiguousarray(gradient)])
    np.testing.assert_array_equal(array, plain)
    if np.shares_memory(base, array):
        np.testing.assert_array_equal(base[outside], before[outside])


def test_paths_selections_and_the_rest():
    w, b, v = make()["w"], make()["b"], make(1)["w"]
    optimizer = attach({"encoder": [{"w": w, "b": b}], "head/w": v}, optimizers.Adam(alpha=0.1))
    rules = optimizer.rules
    assert rules.paths == ("/encoder/0/b", "/encoder/0/w", "/head/w")
    rules["/encoder/**"].hyperparam.alpha = chainrule.inherit * 0.5
    rules.where(lambda path, param: param.ndim == 2).use(optimizers.SGD(lr=0.25))
    rules["/head/w"].enabled = schedules.after(1)
    assert optimizer.explain("/encoder/0/b", "alpha").startswith("0.05 = inherit(0.1) * 0.5")
    optimizer.observe(rules["/encoder/0/w"], ["update_norm"])
    plan = optimizer.plan().to_dict()
    start = v.copy()
    gradients = {
        "encoder": [{"w": np.ones_like(w), "b": np.ones_like(b)}],
        "head": {"w": v * 0 + 1},
    }
    optimizer.update(gradients)
    np.testing.assert_array_equal(v, start)
    (rule,) = rules["/encoder/0/w"]
    assert rule.statistics["update_norm"] == pytest.approx(0.25 * np.sqrt(w.size))
    optimizer.update(gradients)
    np.testing.assert_allclose(v, start - 0.25, rtol=1e-6)
    other = attach({"encoder": [make()], "head/w": v.copy()}, optimizers.Adam())
    with pytest.raises(KeyError):
        other.apply_plan(plan)
    other = attach(
        {"encoder": [{"w": w.copy(), "b": b.copy()}], "head/w": v.copy()}, optimizers.Adam()
    )
    other.apply_plan(plan)
    assert str(other.rules["/encoder/0/b"].hyperparam.get("alpha")) == str(
        rules["/encoder/0/b"].hyperparam.get("alpha")
    )
    kept = bits({"w": w, "b": b, "v": v})
    with optimizer.transaction() as transaction:
        optimizer.update(gradients)
        assert bits({"w": w, "b": b, "v": v}) != kept
        transaction.rollback()
    assert bits({"w": w, "b": b, "v": v}) == kept
    assert optimizer.t == 2


def test_snapshots_go_on_to_the_same_bits(tmp_path):
    arrays = make()
    optimizer = attach(arrays, optimizers.Adam())
    for step in range(3):
        optimizer.update(make(step))
    serializers.save_npz(tmp_path / "optimizer.npz", optimizer)
    serializers.save_npz(tmp_path / "arrays.npz", optimizer.target)
    loaded = make(99)
    other = attach(loaded, optimizers.Adam())
    serializers.load_npz(tmp_path / "arrays.npz", other.target)
    serializers.load_npz(tmp_path / "optimizer.npz", other)
    assert bits(loaded) == bits(arrays)
    for step in range(3):
        optimizer.update(make(50 + step))
        other.update(make(50 + step))
    assert bits(loaded) == bits(arrays)


def test_what_has_no_gradient_stays():
    arrays = make()
    optimizer = attach(arrays, optimizers.Adam())
    start = bits(arrays)
    optimizer.update({"w": np.ones((5, 4), np.float32), "b": None})
    moved = {name for name in arrays if bits(arrays)[name] != start[name]}
    assert moved == {"w"}
    assert [rule.t for rule in optimizer.rules] == [0, 0, 1]
    # A gradient is forgotten after its update.
    before = bits(arrays)
    optimizer.update()
    assert bits(arrays) == before
    optimizer.rules["/b"].missing_grad = "raise"
    with pytest.raises(ValueError, match=r"/b has no gradient"):
        optimizer.update({"w": np.ones((5, 4), np.float32)})
    assert bits(arrays) == before


HOOKS = [
    *(lambda: optimizer_hooks.GradientNoise(0.1), lambda: optimizer_hooks.GradientLARS()),
    *(lambda: optimizer_hooks.WeightDecay(0.1), lambda: optimizer_hooks.GradientClipping(0.1)),
]


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("semantics", [False, True])
def test_gradients_are_left_alone(hook, semantics):
    arrays = make()
    optimizer = attach(arrays, optimizers.SGD())
    optimizer.add_hook(hook())
    gradients = make(1)
    for gradient in gradients.values():
        gradient.flags.writeable = False
    before = bits(gradients)
    with chainrule.using_config("chainer_semantics", semantics):
        optimizer.update(gradients)
    assert bits(gradients) == before
    assert all(param.grad is None for param in optimizer.target.params())


def test_gradients_may_lie_in_the_arrays():
    base = np.arange(1, 9, dtype=np.float32)
    a, b = base[:4], base[4:]
    expected = base.copy()
    optimizer = attach({"a": a, "b": b}, optimizers.SGD(lr=0.5))
    optimizer.update({"a": base[2:6], "b": a})
    expected[:4] -= 0.5 * np.arange(3, 7)
    expected[4:] -= 0.5 * np.arange(1, 5)
    np.testing.assert_array_equal(base, expected)


def refused(value: object) -> dict[str, object]:
    return {"good": np.ones(3, np.float32), "bad": value}


def inside_itself() -> dict[str, object]:
    tree: dict[str, object] = {"a": np.ones(3, np.float32)}
    tree["b"] = [tree]
    return tree


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        (refused([1.0, 2.0]), TypeError, "/bad/0: got float, expected a numpy.ndarray"),
        (refused(np.ma.zeros(2)), TypeError, "/bad: got MaskedArray"),
        (refused(np.float32(1)), TypeError, "/bad: got float32, expected a numpy.ndarray"),
        (refused(np.ones(2, np.int32)), TypeError, "/bad: got int32, expected one of float16"),
        (refused(np.ones(2, np.complex64)), TypeError, "/bad: got complex64"),
        (refused(np.ones(2, ">f4")), TypeError, "/bad: got byte order"),
        (refused(np.broadcast_to(np.float32(1), 3)), ValueError, "/bad: the array is read-only"),
        (
            refused(np.frombuffer(bytearray(9), np.uint8)[1:].view(np.float32)),
            ValueError,
            "/bad: the array's memory is not aligned",
        ),
        (
            refused(np.lib.stride_tricks.as_strided(np.ones(4, np.float32), (3, 2), (4, 4))),
            ValueError,
            "/bad: elements share memory",
        ),
        (refused(np.ones([1] * 9)), ValueError, "/bad: got 9 dimensions, expected at most 8"),
        (inside_itself(), ValueError, "/b/0: a dict or list that is inside itself"),
        ({}, ValueError, "there are no arrays"),
        ({"a": {}}, ValueError, "there are no arrays"),
        (np.ones(3, np.float32), TypeError, "got ndarray, expected a dict or list"),
        ({1: np.ones(3, np.float32)}, TypeError, "got 1, expected a string"),
        ({"a//b": np.ones(3, np.float32)}, ValueError, "empty level: got 'a//b'"),
        (
            {"a/b": np.ones(3, np.float32), "a": {"b": np.ones(3, np.float32)}},
            ValueError,
            "/a/b: two arrays have this path",
        ),
    ],
)
def test_arrays_that_are_refused(arrays, error, message):
    optimizer = optimizers.SGD()
    with pytest.raises(error, match=message):
        attach(arrays, optimizer)
    assert optimizer.target is None


def test_optimizers_that_are_refused():
    array = np.ones(3, np.float32)
    with pytest.raises(TypeError, match=r"got SGD, expected an optimizer such as"):
        attach([array], optimizers.SGD)
    with pytest.raises(ValueError, match="set up already"):
        attach([array], attach([array], optimizers.SGD()))
    link = chainrule.Link(w=3)
    with pytest.raises(TypeError, match=r"got dict, expected a function that gives the loss"):
        optimizers.SGD().setup(link).update({"w": array})


@pytest.mark.parametrize(
    ("gradients", "error", "message"),
    [
        ({"W": np.ones((5, 4), np.float32)}, KeyError, "no such array: got '/W'; nearest: '/w'"),
        ({"w": np.ones(4, np.float32)}, ValueError, r"/w: gradient of the wrong shape: got \(4,\)"),
        ({"w": np.ones((5, 4))}, TypeError, "/w: gradient of the wrong dtype: got float64"),
        ({"w": "x"}, TypeError, "/w: got str, expected an array"),
        (3, TypeError, "got int, expected a dict or list"),
    ],
)
def test_gradients_that_are_refused(gradients, error, message):
    arrays = make()
    optimizer = attach(arrays, optimizers.Adam())
    optimizer.update(make(1))
    before = bits(arrays)
    if isinstance(gradients, dict):
        gradients = {"b": np.ones(5, np.float32), **gradients}
    with pytest.raises(error, match=message):
        optimizer.update(gradients)
    assert bits(arrays) == before
    assert optimizer.t == 1
    assert all(param.grad is None for param in optimizer.target.params())


def slices(draw) -> slice:
    start, length = draw(st.integers(0, 15)), draw(st.integers(1, 6))
    return slice(start, start + 3 * length, draw(st.sampled_from([1, 2, 3])))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_shared_memory_is_found(data):
    base = np.zeros(40, np.float32)
    parts = [base[slices(data.draw)] for _ in range(data.draw(st.integers(2, 4)))]
    shared = any(np.shares_memory(a, b) for i, a in enumerate(parts) for b in parts[:i])
    named = {f"p{i}": part for i, part in enumerate(parts)}
    if shared:
        with pytest.raises(ValueError, match=r"/p\d shares memory with /p\d"):
            attach(named, optimizers.SGD())
        return
    optimizer = attach(named, optimizers.SGD(lr=1.0))
    optimizer.update({name: np.ones_like(part) for name, part in named.items()})
    assert base.sum() == -sum(part.size for part in parts)
    for part in parts:
        np.testing.assert_array_equal(part, -1)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_dtypes(dtype):
    array = np.ones(4, dtype)
    attach([array], optimizers.SGD(lr=0.5)).update([np.ones(4, dtype)])
    np.testing.assert_array_equal(array.astype(np.float32), 0.5)


def test_mapped_files_are_updated(tmp_path):
    array = np.memmap(tmp_path / "w.bin", np.float32, "w+", shape=(4,))
    optimizer = attach({"w": array}, optimizers.SGD(lr=0.5))
    optimizer.update({"w": np.ones(4, np.float32)})
    array.flush()
    np.testing.assert_array_equal(np.fromfile(tmp_path / "w.bin", np.float32), -0.5)


def make_read_only(array):
    array.flags.writeable = False


def change_dtype(array):
    array.dtype = np.int32


def change_byte_order(array):
    array.dtype = array.dtype.newbyteorder()


def change_shape(array):
    array.shape = (2, 2)


def change_memory(array):
    array.__setstate__(np.ones(100_000, np.float32).__reduce__()[2])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (make_read_only, ValueError, r"\[update\] /w: the array is read-only"),
        (change_dtype, TypeError, r"\[update\] /w: got int32, expected one of"),
        (change_byte_order, TypeError, r"\[update\] /w: got byte order"),
        (change_shape, ValueError, r"/w: the array has another shape since attach: got \(2, 2\)"),
        (change_memory, ValueError, r"/w: the array has another shape since attach"),
    ],
)
@pytest.mark.filterwarnings("ignore:Setting the (shape|dtype):DeprecationWarning")
def test_arrays_that_are_changed_after_attach_are_refused(change, error, message):
    b, w = np.ones(2, np.float32), np.ones(4, np.float32)
    optimizer = attach({"b": b, "w": w}, optimizers.Adam())
    change(w)
    before = bits({"b": b, "w": w})
    with pytest.raises(error, match=message):
        optimizer.update({"b": np.ones(2, np.float32), "w": np.ones(4, np.float32)})
    assert bits({"b": b, "w": w}) == before
    assert optimizer.t == 0


def test_other_memory_of_the_same_look_is_refused():
    w = np.ones(4, np.float32)
    optimizer = attach({"w": w}, optimizers.SGD())
    change_memory(w)
    taken = [np.ones(4, np.float32) for _ in range(20)]  # among them the memory that was given back
    w.__setstate__(taken[0].__reduce__()[2])
    with pytest.raises(ValueError, match="/w: the array has other memory since attach"):
        optimizer.update({"w": np.ones(4, np.float32)})


@pytest.mark.parametrize(
    "again", [lambda o: o, copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))]
)
def test_memory_is_not_freed_below_a_rule(again):
    optimizer = again(attach({"w": np.ones(4, np.float32)}, optimizers.SGD(lr=0.5)))
    w = optimizer.target.arrays["/w"]
    with pytest.raises(ValueError, match="cannot resize"):
        w.resize(100_000, refcheck=False)
    optimizer.update({"w": w[::-1]})  # in the arrays that are the new ones
    np.testing.assert_array_equal(w, 0.5)
