"""Overhead: one training step of a 2-2-1 network, and one addition, against PyTorch.

The arithmetic takes nanoseconds; what is timed is everything around it.
"""

from __future__ import annotations

import numpy as np

import chainrule
import chainrule.functions as F
import chainrule.links as L
import common
import torch
from chainrule import optimizers

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
T = np.array([[0], [1], [1], [0]], dtype=np.int32)


class MLP(chainrule.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.l1 = L.Linear(2, 2)
            self.l2 = L.Linear(2, 1)

    def forward(self, x):
        return self.l2(self.l1(x))


class TorchMLP(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = torch.nn.Linear(2, 2)
        self.l2 = torch.nn.Linear(2, 1)

    def forward(self, x):
        return self.l2(self.l1(x))


def chainrule_step():
    net = MLP()
    optimizer = optimizers.SGD(lr=0.1)
    optimizer.setup(net)

    def step():
        loss = F.sigmoid_cross_entropy(net(X), T)
        net.cleargrads()
        loss.backward()
        optimizer.update()

    return step


def torch_step():
    net = TorchMLP()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    x, t = torch.from_numpy(X), torch.from_numpy(T).float()

    def step():
        loss = torch.nn.functional.binary_cross_entropy_with_logits(net(x), t)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def chainrule_addition():
    x, y = (chainrule.Variable(np.ones(1, np.float32)) for _ in range(2))
    return lambda: x + y


def torch_addition():
    x, y = (torch.ones(1, requires_grad=True) for _ in range(2))
    return lambda: x + y


def benchmark():
    common.compare(
        "training step of a 2-2-1 network",
        {"chainrule": chainrule_step(), "PyTorch": torch_step()},
        reach=0.1,
    )
    common.compare(
        "x + y of one element, recorded",
        {"chainrule": chainrule_addition(), "PyTorch": torch_addition()},
        reach=0.35,
    )


if __name__ == "__main__":
    common.main(benchmark, __doc__)
