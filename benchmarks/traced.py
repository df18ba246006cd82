"""Rules of a user's own, traced, against the built-in ones they say the same as."""

from __future__ import annotations

import numpy as np

import chainrule
import common
from chainrule import optimizers

LARGE = 25_000_000
SMALL = (2000, 256)


@chainrule.elementwise_rule
def TracedSGD(p, g, *, lr=0.01):
    return p - lr * g


@chainrule.elementwise_rule
def TracedMomentumSGD(p, g, v, *, lr=0.01, momentum=0.9):
    v = momentum * v - lr * g
    return p + v, v


@chainrule.elementwise_rule
def TracedAdam(p, g, m, v, *, alpha=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, t):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return p - alpha * m_hat / (np.sqrt(v_hat) + eps), m, v


@chainrule.elementwise_rule
def TracedRMSprop(p, g, ms, *, lr=0.01, alpha=0.99, eps=1e-8):
    ms = alpha * ms + (1 - alpha) * g**2
    return p - lr * g / (np.sqrt(ms) + eps), ms


PAIRS = {
    "SGD": (TracedSGD, optimizers.SGD),
    "MomentumSGD": (TracedMomentumSGD, optimizers.MomentumSGD),
    "RMSprop": (TracedRMSprop, optimizers.RMSprop),
    "Adam": (TracedAdam, optimizers.Adam),
}


def step(optimizer, count: int, size: int):
    """Update `count` parameters of `size` floats."""
    link = chainrule.ChainList(*(chainrule.Link(w=(size,)) for _ in range(count)))
    optimizer.setup(link)
    gradient = np.random.default_rng(0).standard_normal(size, dtype=np.float32)
    for param in link.params():
        param.array[...] = 0
        param.grad = gradient.copy()
    return optimizer.update


def benchmark():
    for name, (traced, built_in) in PAIRS.items():
        common.compare(
            f"{name}, one tensor of 25 million floats",
            {"traced": step(traced(), 1, LARGE), "built-in": step(built_in(), 1, LARGE)},
            reach=1.3,
            seconds=2,
        )
    common.compare(
        "Adam, 2,000 tensors of 256 floats",
        {
            "traced": step(TracedAdam(), *SMALL),
            "built-in": step(optimizers.Adam(), *SMALL),
        },
        reach=1.3,
    )


if __name__ == "__main__":
    common.main(benchmark, __doc__)
