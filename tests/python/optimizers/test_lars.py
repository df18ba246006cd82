"""LARS: the hook of the same name, which is compared with Chainer's, before momentum.

The hook leaves the coefficient to the rate.
"""

from __future__ import annotations

import numpy as np
import pytest

import chainrule
from chainrule import optimizer_hooks, optimizers


def make() -> chainrule.Link:
    link = chainrule.Link()
    with link.init_scope():
        link.a = chainrule.Parameter(np.linspace(-1, 2, 12).reshape(3, 4))
        link.b = chainrule.Parameter(np.linspace(3, 1, 5))
    return link


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_equal_to_the_hook_and_momentum(decay):
    one, other = make(), make()
    optimizer = optimizers.LARS(
        lr=0.5, momentum=0.8, weight_decay=decay, trust_coefficient=0.02, eps=1e-6
    ).setup(one)
    hooked = optimizers.MomentumSGD(lr=0.5 * 0.02, momentum=0.8).setup(other)
    hooked.add_hook(optimizer_hooks.GradientLARS(threshold=1e-6, weight_decay=decay, eps=1e-6))
    rng = np.random.RandomState(0)
    for _ in range(20):
        for mine, its in zip(one.params(), other.params(), strict=True):
            grad = rng.uniform(-1, 1, mine.shape)
            mine.grad, its.grad = grad, grad.copy()
        optimizer.update()
        hooked.update()
    for mine, its in zip(one.params(), other.params(), strict=True):
        np.testing.assert_allclose(mine.array, its.array, rtol=1e-12)
