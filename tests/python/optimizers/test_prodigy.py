"""Prodigy: one estimate for all parameters, whatever becomes of them."""

from __future__ import annotations

import numpy as np

import chainrule
from chainrule import optimizers
from golden.golden_modern import CASES


def make(names: str, **kwargs) -> tuple[chainrule.Link, optimizers.Prodigy]:
    link = chainrule.Link()
    with link.init_scope():
        for i, name in enumerate(names):
            start = np.linspace(-1, 1, 4 + i)
            setattr(link, name, chainrule.Parameter(start))
    return link, optimizers.Prodigy(**kwargs).setup(link)


def step(link: chainrule.Link, optimizer: optimizers.Prodigy, without: str = "") -> None:
    """One update towards 3, on f(p) = |p - 3|^2 / 2."""
    for param in link.params():
        param.grad = None if param.name in without else param.array - 3
    optimizer.update()


def estimates(link: chainrule.Link) -> set[float]:
    return {param.update_rule.d for param in link.params()}


def test_the_estimate_finds_the_distance():
    link, optimizer = make("ab")
    for _ in range(200):
        step(link, optimizer)
    distance = max(abs(np.linspace(-1, 1, 4) - 3))
    (d,) = estimates(link)
    assert 0.1 * distance < d < 2 * distance
    for param in link.params():
        np.testing.assert_allclose(param.array, 3, atol=0.2)


def test_a_parameter_that_was_away_takes_over_the_estimate():
    link, optimizer = make("ab", d0=0.01)
    for _ in range(10):
        step(link, optimizer, without="b")
    assert link.b.update_rule.d == 0 or link.b.update_rule.d <= link.a.update_rule.d
    known = link.a.update_rule.d
    assert known > 0.01
    step(link, optimizer)
    (d,) = estimates(link)
    assert d >= known
    assert [param.update_rule.t for param in link.params()] == [11, 1]


def test_a_parameter_that_is_new_takes_over_the_estimate():
    link, optimizer = make("a", d0=0.01)
    for _ in range(10):
        step(link, optimizer)
    known = link.a.update_rule.d
    with link.init_scope():
        link.b = chainrule.Parameter(np.zeros(3))
    link.b.update_rule = optimizer.create_update_rule()
    step(link, optimizer)
    (d,) = estimates(link)
    assert d >= known


def test_the_estimate_is_that_of_one_parameter_of_all_elements():
    link, optimizer = make("abc", d0=0.01)
    whole = chainrule.Link()
    with whole.init_scope():
        whole.w = chainrule.Parameter(np.concatenate([p.array for p in link.params()]))
    other = optimizers.Prodigy(d0=0.01).setup(whole)
    for _ in range(30):
        step(link, optimizer)
        step(whole, other)
    (d,) = estimates(link)
    np.testing.assert_allclose(whole.w.update_rule.d, d, rtol=1e-12)
    together = np.concatenate([param.array for param in link.params()])
    np.testing.assert_allclose(whole.w.array, together, rtol=1e-10)


def test_other_algorithms_beside_it_are_left_out():
    link, optimizer = make("ab", d0=0.01)
    alone, other = make("a", d0=0.01)
    link.b.update_rule = optimizers.SGD(lr=0.1).create_update_rule()
    for _ in range(10):
        step(link, optimizer)
        step(alone, other)
    np.testing.assert_array_equal(link.a.array, alone.a.array)
    assert link.a.update_rule.d == alone.a.update_rule.d


def test_no_gradient_but_zeros_moves_nothing():
    link, optimizer = make("a", weight_decay=0.0)
    before = link.a.array.copy()
    for _ in range(3):
        link.a.grad = np.zeros_like(before)
        optimizer.update()
    np.testing.assert_array_equal(link.a.array, before)
    assert link.a.update_rule.d == optimizer.d0


def test_the_golden_cases_let_the_estimate_grow():
    """Otherwise they would compare little."""
    assert all(case.shift for case in CASES.values() if case.cls == "Prodigy")
