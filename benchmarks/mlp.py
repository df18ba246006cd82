"""Training steps of an MLP, 784-1000-1000-10, in batches of 128, against PyTorch."""

from __future__ import annotations

import numpy as np

import chainrule
import chainrule.functions as F
import chainrule.links as L
import common
import torch
from chainrule import optimizers

RNG = np.random.default_rng(0)
X = RNG.random((128, 784), dtype=np.float32)
T = RNG.integers(0, 10, 128).astype(np.int32)


class MLP(chainrule.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.l1 = L.Linear(784, 1000)
            self.l2 = L.Linear(1000, 1000)
            self.l3 = L.Linear(1000, 10)

    def forward(self, x):
        return self.l3(F.relu(self.l2(F.relu(self.l1(x)))))


def chainrule_step(optimizer):
    net = MLP()
    optimizer.setup(net)

    def step():
        loss = F.softmax_cross_entropy(net(X), T)
        net.cleargrads()
        loss.backward()
        optimizer.update()

    return step


def torch_step(make):
    net = torch.nn.Sequential(
        torch.nn.Linear(784, 1000),
        torch.nn.ReLU(),
        torch.nn.Linear(1000, 1000),
        torch.nn.ReLU(),
        torch.nn.Linear(1000, 10),
    )
    optimizer = make(net.parameters(), lr=1e-3, fused=True)
    x, t = torch.from_numpy(X), torch.from_numpy(T).long()

    def step():
        loss = torch.nn.functional.cross_entropy(net(x), t)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def benchmark():
    for name, optimizer, make in (
        ("SGD", optimizers.SGD(lr=1e-3), torch.optim.SGD),
        ("Adam", optimizers.Adam(alpha=1e-3), torch.optim.Adam),
    ):
        common.compare(
            f"training step of an MLP with {name}",
            {"chainrule": chainrule_step(optimizer), "PyTorch, fused": torch_step(make)},
            reach=1,
            seconds=3,
        )


if __name__ == "__main__":
    common.main(benchmark, __doc__)
