"""Small PyTorch models for the tests of chainrule.torch."""

from __future__ import annotations

import torch


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
