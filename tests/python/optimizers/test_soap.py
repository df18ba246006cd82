"""SOAP: its bases, and values out of range."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule
from chainrule import optimizers


def train(optimizer, link, steps):
    rng = np.random.RandomState(1)
    for _ in range(steps):
        for param in link.params():
            param.grad = rng.randn(*param.shape).astype(param.dtype)
        optimizer.update()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bases_are_orthogonal_and_follow_the_eigenvectors(dtype):
    link = chainrule.Link()
    with link.init_scope():
        link.w = chainrule.Parameter(np.zeros((6, 9), dtype))
    optimizer = optimizers.SOAP(precondition_frequency=1, shampoo_beta=0.9).setup(link)
    rng = np.random.RandomState(1)
    scale = 2.0 ** -np.arange(6)[:, None]  # eigenvalues far from each other
    for _ in range(60):
        link.w.grad = (scale * rng.randn(6, 9)).astype(dtype)
        optimizer.update()
    state = link.w.update_rule.state
    assert {k: v.shape for k, v in state.items()} == {
        "m": (6, 9),
        "v": (6, 9),
        "left": (6, 6),
        "right": (9, 9),
        "left_basis": (6, 6),
        "right_basis": (9, 9),
    }
    small = 30 * np.finfo(dtype).eps
    for side in ("left", "right"):
        basis = state[f"{side}_basis"].astype(np.float64)
        np.testing.assert_allclose(basis.T @ basis, np.eye(len(basis)), atol=small)
    basis = state["left_basis"]
    turned = basis.T @ state["left"] @ basis
    off = turned - np.diag(np.diag(turned))
    assert np.abs(off).max() < 0.2 * np.diag(turned)[0]
    assert (np.diff(np.diag(turned)) < 0).all()


def test_without_bases_it_is_adamw_one_step_late():
    rng = np.random.RandomState(0)
    start = rng.randn(5, 4)
    ours, theirs = chainrule.Link(), chainrule.Link()
    for link in (ours, theirs):
        with link.init_scope():
            link.w = chainrule.Parameter(start.copy())
    soap = optimizers.SOAP(lr=0.01, weight_decay=0, max_precondition_dim=3, eps=0.0).setup(ours)
    adam = optimizers.Adam(alpha=0.01, beta1=0.95, beta2=0.95, eps=0.0).setup(theirs)
    for step in range(20):
        grad = rng.randn(5, 4)
        ours.w.grad = theirs.w.grad = grad
        soap.update()
        if step:
            adam.update()
    assert set(ours.w.update_rule.state) == {"m", "v"}
    np.testing.assert_allclose(ours.w.array, theirs.w.array, rtol=1e-12)


def test_vectors_may_have_a_basis():
    link = chainrule.Link(b=5)
    link.b.array[:] = 0
    optimizer = optimizers.SOAP(precondition_1d=True).setup(link)
    train(optimizer, link, 12)
    assert link.b.update_rule.state["left_basis"].shape == (5, 5)
    assert np.isfinite(link.b.array).all()


def test_a_decomposition_that_fails_changes_nothing(monkeypatch):
    link = chainrule.Link(w=(3, 3), b=3)
    link.w.array[...] = link.b.array[...] = 1
    optimizer = optimizers.SOAP(precondition_frequency=1).setup(link)
    train(optimizer, link, 2)

    def everything():
        states = [p.update_rule.state[k] for p in link.params() for k in p.update_rule.state]
        return [array.tobytes() for array in (link.w.array, link.b.array, *states)]

    def fails(matrix):
        raise np.linalg.LinAlgError("no convergence")

    before = everything()

    with monkeypatch.context() as patch:
        patch.setattr(np.linalg, "qr", fails)
        with pytest.raises(np.linalg.LinAlgError):
            train(optimizer, link, 1)
    assert everything() == before
    for param in link.params():
        assert param.update_rule.t == optimizer.t == 2
        param.grad = np.zeros_like(param.array)
    optimizer.update()  # of the new gradients, not of those that failed
    assert np.isfinite(link.w.array).all()
    np.testing.assert_array_equal(link.w.grad, 0)


def test_not_a_number_goes_through():
    link = chainrule.Link(w=(5, 4))
    link.w.array[...] = 1
    optimizer = optimizers.SOAP(precondition_frequency=1).setup(link)
    for value in (1, np.inf, np.nan, 1):
        link.w.grad = np.full((5, 4), value, np.float32)
        optimizer.update()
    assert np.isnan(link.w.array).all()


@pytest.mark.parametrize(
    ("field", "value"),
    [("beta1", 1.0), ("beta2", -0.1), ("shampoo_beta", 1.0), ("precondition_frequency", 0.5)],
)
def test_values_out_of_range(field, value):
    link = chainrule.Link(w=(4, 3))
    optimizer = optimizers.SOAP(**{field: value}).setup(link)
    link.w.grad = np.ones_like(link.w.array)
    with pytest.raises(ValueError, match=f"/w: hyperparameter '{field}' of SOAP"):
        optimizer.update()
    assert link.w.update_rule.t == 0
