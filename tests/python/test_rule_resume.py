"""Every rule: k updates, a file, and n updates more are k + n updates, bit for bit."""

from __future__ import annotations

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

# Muon is for matrices alone; test_golden_tensor_rules.py has the like for it.
CLASSES = sorted(n for row in rule_table.ROWS for n in row.classes if n != "Muon")
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
