"""Small PyTorch models for the tests of chainrule.torch."""

from __future__ import annotations

from typing import Any

import torch
from chainrule import optimizers
from chainrule.torch._nesterov import NesterovSGD

#: An optimizer of torch.optim, and the one that computes the same.
PAIRS = {
    "SGD": (lambda p: torch.optim.SGD(p, lr=0.1), lambda: optimizers.SGD(lr=0.1)),
    "momentum": (
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        lambda: optimizers.CorrectedMomentumSGD(lr=0.1, momentum=0.9),
    ),
    "Chainer's momentum": (
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        lambda: optimizers.MomentumSGD(lr=0.1, momentum=0.9),
    ),
    "nesterov": (
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
        lambda: NesterovSGD(lr=0.1, momentum=0.9),
    ),
    "Adam": (
        lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.8, 0.95), eps=1e-3),
        lambda: optimizers.Adam(0.01, 0.8, 0.95, 1e-3, eps_hat=False),
    ),
    "AdamW": (
        lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
        lambda: optimizers.AdamW(0.01, weight_decay=0.1, eps_hat=False),
    ),
    "AMSGrad": (
        lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True, eps=1e-3),
        lambda: optimizers.Adam(0.01, amsgrad=True, eps=1e-3, eps_hat=False),
    ),
    "NAdam": (lambda p: torch.optim.NAdam(p, lr=0.01), lambda: optimizers.NAdam(0.01)),
    "RAdam": (lambda p: torch.optim.RAdam(p, lr=0.01), lambda: optimizers.RAdam(0.01)),
    "Adagrad": (
        lambda p: torch.optim.Adagrad(p, lr=0.05, eps=1e-6),
        lambda: optimizers.AdaGrad(lr=0.05, eps=1e-6),
    ),
    "RMSprop": (
        lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.9),
        lambda: optimizers.RMSprop(lr=0.01, alpha=0.9),
    ),
    "Adadelta": (
        lambda p: torch.optim.Adadelta(p, lr=1.0, rho=0.9, eps=1e-5),
        lambda: optimizers.AdaDelta(rho=0.9, eps=1e-5),
    ),
    "Adamax": (lambda p: torch.optim.Adamax(p, lr=0.01), lambda: optimizers.Adamax(0.01)),
    "Rprop": (lambda p: torch.optim.Rprop(p, lr=0.01), lambda: optimizers.Rprop(lr=0.01)),
}


class Block(torch.nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(width)
        self.linear = torch.nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.tanh(self.linear(self.norm(x)))


class Net(torch.nn.Module):
    """An encoder of blocks and a head: ``encoder.0.linear.weight``, ``head.weight``, ..."""

    def __init__(self, width: int = 4, depth: int = 2) -> None:
        super().__init__()
        self.encoder = torch.nn.ModuleList(Block(width) for _ in range(depth))
        self.head = torch.nn.Linear(width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.encoder:
            x = block(x)
        return self.head(x)


def make_net(seed: int = 0, dtype: torch.dtype = torch.float32) -> Net:
    torch.manual_seed(seed)
    return Net().to(dtype)


def backward(model: torch.nn.Module, step: int) -> torch.Tensor:
    """The same loss at the same step, whatever the model is wrapped in."""
    param = next(model.parameters())
    generator = torch.Generator().manual_seed(step)
    x = torch.randn(8, 4, generator=generator, dtype=torch.float64).to(param.dtype)
    loss = (model(x) ** 2).mean()
    loss.backward()
    return loss


def values(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def assert_same(a: torch.nn.Module, b: torch.nn.Module, tolerance: float = 0.0) -> None:
    for (name, p), q in zip(a.named_parameters(), b.parameters(), strict=True):
        worst = (p - q).abs().max().item() / max(1.0, q.abs().max().item())
        assert worst <= tolerance, f"{name}: {worst}"


def train(model, optimizer) -> None:
    """Take three steps, each with gradients of its own."""
    for step in range(3):
        optimizer.zero_grad()
        backward(model, step)
        optimizer.step()


def step_once(model, optimizer) -> None:
    """Take one step with the first gradients."""
    optimizer.zero_grad()
    backward(model, 0)
    optimizer.step()


def groups_of_two(model: Net, rates) -> list[dict[str, Any]]:
    """The encoder and the head as groups with a decay each."""
    parts = model.encoder, model.head
    return [
        {"params": part.parameters(), "weight_decay": rate}
        for part, rate in zip(parts, rates, strict=True)
    ]
