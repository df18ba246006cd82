"""Every rule: k updates, a file, and n updates more are k + n updates, bit for bit.

Whatever the optimizer that is loaded into was before, and however it stores states.
"""

from __future__ import annotations

import copy
import io
import tempfile
from pathlib import Path

import hypothesis
import ml_dtypes
import numpy as np
import pytest
from hypothesis import strategies as st

import chainrule
import rule_table
from chainrule import optimizers, serializers
from chainrule.optimizers.adam import AdamRule

# Muon is for matrices alone; test_golden_tensor_rules.py has the like for it.
CLASSES = sorted(n for row in rule_table.ROWS for n in row.classes if n != "Muon")
STORED = (None, "float32", "bfloat16", "int8")
DTYPES = (np.float16, ml_dtypes.bfloat16, np.float32, np.float64)


def make(cls: str, dtype: type, fp32: bool) -> tuple[chainrule.Link, chainrule.GradientMethod]:
    """A matrix, a vector with values of its own, and one whose rule is off at times."""
    link = chainrule.Link()
    rng = np.random.RandomState(3)
    with link.init_scope():
        for name, shape in (("a", (3, 4)), ("b", (5,)), ("c", (2,))):
            start = rng.uniform(-1, 1, shape).astype(dtype)
            setattr(link, name, chainrule.Parameter(start))
    optimizer = getattr(optimizers, cls)()
    if fp32:
        optimizer.use_fp32_update()
    optimizer.setup(link)
    rate = next(n for n in ("alpha", "lr", "rho") if n in optimizer.hyperparam.get_dict())
    own = link.b.update_rule.hyperparam
    setattr(own, rate, getattr(own, rate) * 0.5)
    return link, optimizer


def train(link: chainrule.Link, optimizer: chainrule.GradientMethod, steps: range) -> None:
    for step in steps:
        rng = np.random.RandomState(step)
        for name in "abc":
            param = getattr(link, name)
            param.grad = rng.uniform(-1, 1.5, param.shape).astype(param.dtype)
        link.c.update_rule.enabled = step % 3 != 0
        optimizer.update()


def bits(link: chainrule.Link) -> dict[str, bytes]:
    out = {}
    for path, param in link.namedparams():
        rule = param.update_rule
        out[path] = param.array.tobytes()
        out[f"{path}/t"] = str(rule.t).encode()
        for name, value in {**(rule.state or {}), **rule._scalars}.items():
            out[f"{path}/{name}"] = np.asarray(value).tobytes()
    return out


@pytest.mark.parametrize("cls", CLASSES)
@hypothesis.settings(max_examples=8, deadline=None, derandomize=True)
@hypothesis.given(
    dtype=st.sampled_from(DTYPES),
    fp32=st.booleans(),
    before=st.integers(0, 5),
    after=st.integers(1, 5),
    used=st.booleans(),
)
def test_going_on_from_a_file(cls, dtype, fp32, before, after, used):
    link, optimizer = make(cls, dtype, fp32)
    train(link, optimizer, range(before))
    other, resumed = make(cls, dtype, fp32)
    if used:  # what is loaded replaces states and numbers that are there
        train(other, resumed, range(100, 103))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file.npz"
        serializers.save_npz(file, optimizer)
        serializers.load_npz(file, resumed)
    other.copyparams(link)
    train(link, optimizer, range(before, before + after))
    train(other, resumed, range(before, before + after))
    ours, theirs = bits(link), bits(other)
    assert set(ours) == set(theirs)
    assert [key for key in ours if ours[key] != theirs[key]] == []


@hypothesis.settings(max_examples=200, deadline=None, derandomize=True)
@hypothesis.given(
    cls=st.sampled_from(("Adam", "AMSGrad", "AdEMAMix", "Lion", "MomentumSGD", "RMSprop")),
    dtype=st.sampled_from(DTYPES),
    fp32=st.booleans(),
    stored=st.sampled_from(STORED),
    changed=st.none() | st.tuples(st.sampled_from(STORED)),
    present=st.sampled_from(STORED),
    used=st.booleans(),
)
def test_states_come_back_as_they_were_stored(cls, dtype, fp32, stored, changed, present, used):
    link, optimizer = make(cls, dtype, fp32)
    optimizer.rules.state_dtype = stored
    train(link, optimizer, range(3))
    if changed is not None:  # the next update is to store them otherwise
        optimizer.rules.state_dtype = changed[0]
    other, resumed = make(cls, dtype, not fp32)
    resumed.rules.state_dtype = present
    if used:
        train(other, resumed, range(100, 103))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file.npz"
        serializers.save_npz(file, optimizer)
        report = serializers.load_npz(file, resumed)
    assert (report.fresh, report.unused) == ([], [])
    other.copyparams(link)
    copied = copy.deepcopy(optimizer)
    every = [(link, optimizer), (other, resumed), (copied.target, copied)]
    assert bits(link) == bits(other) == bits(copied.target)
    for each, its in every:
        train(each, its, range(3, 6))
    assert bits(link) == bits(other) == bits(copied.target)


@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize(("cls", "present"), [("AMSGrad", "Adam"), ("Adam", "AMSGrad")])
def test_states_that_the_saved_values_need(cls, present, used, tmp_path):
    link, optimizer = make(cls, np.float32, False)
    train(link, optimizer, range(3))
    serializers.save_npz(tmp_path / "file.npz", optimizer)
    other, resumed = make(present, np.float32, False)
    if used:
        train(other, resumed, range(100, 103))
    report = serializers.load_npz(tmp_path / "file.npz", resumed)
    assert (report.fresh, report.unused) == ([], [])
    other.copyparams(link)
    train(link, optimizer, range(3, 6))
    train(other, resumed, range(3, 6))
    assert bits(link) == bits(other)


class Scored(AdamRule):
    """Adam that keeps a state of its own beside the others."""

    def init_state(self, param):
        super().init_state(param)
        self.state["score"] = np.zeros(param.shape, np.float32)

    def update_core(self, param):
        self.state["score"] += param.grad
        super().update_core(param)


@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("stored", STORED)
def test_states_of_a_rule_that_makes_its_own(stored, used, tmp_path):
    def begin():
        link = chainrule.Link(a=3, b=4, c=2)
        optimizer = optimizers.Adam().setup(link)
        for param in link.params():
            param.array[...] = 1
            param.update_rule = Scored(optimizer.hyperparam)
        return link, optimizer

    link, optimizer = begin()
    optimizer.rules.state_dtype = stored
    train(link, optimizer, range(3))
    optimizer.rules.state_dtype = "bfloat16"
    serializers.save_npz(tmp_path / "file.npz", optimizer)
    other, resumed = begin()
    if used:
        train(other, resumed, range(100, 103))
    report = serializers.load_npz(tmp_path / "file.npz", resumed)
    assert (report.fresh, report.unused) == ([], [])
    other.copyparams(link)
    assert bits(link) == bits(other)
    train(link, optimizer, range(3, 6))
    train(other, resumed, range(3, 6))
    assert bits(link) == bits(other)


SCALES = {
    "of the wrong shape: got \\(2,\\), expected \\(1,\\)": np.ones(2, np.float32),
    "of the wrong dtype: got codes of int8 and scales of float64": np.ones(1),
}


@pytest.mark.parametrize("words", SCALES)
def test_codes_need_their_scales(words, tmp_path):
    link, optimizer = make("Adam", np.float32, False)
    optimizer.rules.state_dtype = "int8"
    train(link, optimizer, range(3))
    serializers.save_npz(tmp_path / "good.npz", optimizer)
    with np.load(tmp_path / "good.npz") as file:
        entries = dict(file)
    np.savez(tmp_path / "bad.npz", **entries | {"a/v_scale": SCALES[words]})
    optimizer.rules.state_dtype = None
    train(link, optimizer, range(3))
    before = bits(link)
    with pytest.raises(ValueError, match=rf"entry 'a/v(_scale)?' does not fit: {words}"):
        serializers.load_npz(tmp_path / "bad.npz", optimizer)
    assert bits(link) == before
    del entries["a/v_scale"]
    np.savez(tmp_path / "bad.npz", **entries)
    assert serializers.load_npz(tmp_path / "bad.npz", optimizer).fresh == ["a"]


def test_present_states_stay_where_the_file_has_none(tmp_path):
    link, optimizer = make("Adam", np.float32, False)
    train(link, optimizer, range(3))
    optimizer.rules.state_dtype = "int8"
    serializers.save_npz(tmp_path / "whole.npz", optimizer)
    with np.load(tmp_path / "whole.npz") as file:
        np.savez(tmp_path / "part.npz", **{k: v for k, v in file.items() if k != "a/m"})
    before = bits(link)
    report = serializers.load_npz(tmp_path / "part.npz", optimizer, strict=False)
    assert report.missing == ["a/m"]
    report = serializers.load_npz(tmp_path / "whole.npz", optimizer, ignore_names="a/m")
    assert report.ignored == ["a/m"]
    assert bits(link) == before


@pytest.mark.parametrize("dropped", [False, True])
@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("cls", CLASSES)
def test_a_file_that_does_not_fit_changes_nothing(cls, used, dropped, tmp_path):
    link, optimizer = make(cls, np.float16, True)
    train(link, optimizer, range(4))
    serializers.save_npz(tmp_path / "good.npz", optimizer)
    with np.load(tmp_path / "good.npz") as file:
        entries = dict(file)
    if dropped:  # states of the first parameter start anew, and are put back
        entries = {k: v for k, v in entries.items() if not k.startswith("a/") or k == "a/t"}
    entries["c/t"] = np.zeros(3)
    np.savez(tmp_path / "bad.npz", **entries)
    other, untouched = make(cls, np.float16, True)
    if used:
        train(other, untouched, range(100, 103))
    before = bits(other)
    masters = [param.update_rule._master_copy for param in other.params()]
    with pytest.raises((TypeError, ValueError), match="c/t"):
        serializers.load_npz(tmp_path / "bad.npz", untouched)
    assert bits(other) == before
    for param, master in zip(other.params(), masters, strict=True):
        np.testing.assert_array_equal(param.update_rule._master_copy, master)
    train(other, untouched, range(2))


@pytest.mark.parametrize("cls", CLASSES)
def test_states_that_are_not_in_the_file_start_anew(cls, tmp_path):
    link, optimizer = make(cls, np.float32, False)
    serializers.save_npz(tmp_path / "young.npz", optimizer)
    fresh, young = make(cls, np.float32, False)
    fresh.copyparams(link)
    train(link, optimizer, range(100, 103))
    report = serializers.load_npz(tmp_path / "young.npz", optimizer)
    with_states = [f"{param.name}" for param in link.params() if fresh_states(cls)]
    assert report.fresh == with_states
    link.copyparams(fresh)
    train(link, optimizer, range(5))
    train(fresh, young, range(5))
    assert bits(link) == bits(fresh)


def fresh_states(cls: str) -> bool:
    return bool(getattr(optimizers, cls)().create_update_rule()._state_names)


def _adam(state_dtype=None, steps=1):
    link = chainrule.Link(w=4)
    link.w.array[:] = 1
    optimizer = optimizers.Adam().setup(link)
    optimizer.rules.state_dtype = state_dtype
    for step in range(steps):
        link.w.grad = np.full(4, 1 + step, np.float32)
        optimizer.update()
    return optimizer, link.w.update_rule


@pytest.mark.parametrize("state_dtype", [None, "bfloat16", "int8"])
def test_what_is_not_to_be_loaded_stays_whatever_the_dtype(state_dtype):
    file = io.BytesIO()
    saved, theirs = _adam()
    serializers.save_npz(file, saved)
    file.seek(0)
    optimizer, rule = _adam(state_dtype, steps=2)
    before = np.array(rule.state["m"])
    serializers.load_npz(file, optimizer, ignore_names=["w/m", "rules.json"])
    np.testing.assert_array_equal(rule.state["m"], before)
    np.testing.assert_array_equal(rule.state["v"], theirs.state["v"])


@pytest.mark.parametrize("state_dtype", [None, "bfloat16"])
def test_entries_of_ones_own_in_a_state_come_back(state_dtype):
    file = io.BytesIO()
    saved, rule = _adam()
    rule.state["extra"] = np.arange(3.0)
    serializers.save_npz(file, saved)
    file.seek(0)
    optimizer, rule = _adam(state_dtype)
    rule.state["extra"] = np.zeros(3)
    rule.state["kept"] = np.ones(2)
    serializers.load_npz(file, optimizer, strict=False)
    assert rule.state["extra"].tolist() == [0, 1, 2]
    assert rule.state["kept"].tolist() == [1, 1]


class _WithNone(chainrule.UpdateRule):
    def init_state(self, param):
        self.state.update(v=np.zeros_like(param.array), none=None)

    def update_core_cpu(self, param):
        self.state["v"] += param.grad
        param.array -= self.state["v"]


class _ByPython(chainrule.GradientMethod):
    def create_update_rule(self):
        return _WithNone(self.hyperparam)


def test_a_state_that_is_none_is_loaded():
    def made():
        link = chainrule.Link(w=2)
        link.w.array[:] = 0
        return _ByPython().setup(link), link.w

    file = io.BytesIO()
    saved, param = made()
    param.grad = np.ones(2, np.float32)
    saved.update()
    serializers.save_npz(file, saved)
    file.seek(0)
    resumed, other = made()
    serializers.load_npz(file, resumed)
    assert other.update_rule.state["none"] is None
    np.testing.assert_array_equal(other.update_rule.state["v"], param.update_rule.state["v"])


def step_of(link, optimizer, value):
    for param in link.params():
        param.grad = np.full(param.shape, value, param.dtype)
    optimizer.update()


def saved(optimizer) -> io.BytesIO:
    file = io.BytesIO()
    serializers.save_npz(file, optimizer)
    file.seek(0)
    return file


def amsgrad(when):
    link = chainrule.Link(a=2, b=2)
    for param in link.params():
        param.array[:] = 1
    return link, optimizers.Adam(amsgrad=when).setup(link)


def test_a_state_that_the_values_do_not_use_now_comes_back():
    when = chainrule.schedules.before(3) | chainrule.schedules.after(4)
    (link, optimizer), (other, resumed) = amsgrad(when), amsgrad(when)
    for _ in range(4):
        step_of(link, optimizer, 9)
    report = serializers.load_npz(saved(optimizer), resumed)
    assert not report.fresh
    third = copy.deepcopy(optimizer)
    other.copyparams(link)
    for _ in range(3):
        step_of(link, optimizer, 0.1)
        step_of(other, resumed, 0.1)
    third.update()
    assert np.array_equal(link.a.array, other.a.array)
    assert sorted(link.a.update_rule.state) == ["m", "v", "vhat"]
    for param in third.target.params():
        assert "vhat" in param.update_rule.state


def test_a_refused_file_leaves_states_that_its_values_do_not_use():
    (link, optimizer), (other, unlike) = amsgrad(True), amsgrad(False)
    for _ in range(2):
        step_of(link, optimizer, 1)
        step_of(other, unlike, 1)
    with np.load(saved(unlike)) as file:
        entries = dict(file) | {"b/m": np.zeros(7, np.float32)}
    damaged = io.BytesIO()
    np.savez(damaged, **entries)
    damaged.seek(0)
    before = {name: state.copy() for name, state in link.a.update_rule.state.items()}
    with pytest.raises(ValueError, match="b/m"):
        serializers.load_npz(damaged, optimizer)
    assert optimizer.amsgrad is True
    assert set(link.a.update_rule.state) == {"m", "v", "vhat"}
    for name, state in link.a.update_rule.state.items():
        assert np.array_equal(state, before[name])


def test_what_the_next_step_cannot_use_is_saved_all_the_same():
    link = chainrule.Link(w=2)
    link.w.array[:] = 1
    optimizer = optimizers.MomentumSGD(lr=1 / (2 - chainrule.schedules.step)).setup(link)
    for _ in range(2):
        step_of(link, optimizer, 1)
    with np.load(saved(optimizer)) as file:
        assert np.array_equal(file["w/v"], link.w.update_rule.state["v"])
    clone = copy.deepcopy(optimizer)
    assert list(clone.target.w.update_rule.state) == ["v"]
