"""A small transformer in plain PyTorch, and two texts that ship with Python."""

from __future__ import annotations

import inspect
import pydoc_data.topics
import textwrap

from torch.nn import functional as F

import torch
from torch import nn

CONTEXT = 64


class Block(nn.Module):
    """Attention and a feed-forward part, each behind a norm and beside a shortcut."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.heads = heads

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shape = (*x.shape[:2], self.heads, -1)
        parts = self.qkv(self.norm1(x)).chunk(3, -1)
        q, k, v = (part.view(shape).transpose(1, 2) for part in parts)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(x.shape))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Transformer(nn.Module):
    """Predicts the next byte."""

    def __init__(self, width: int = 64, depth: int = 4, heads: int = 4) -> None:
        super().__init__()
        self.embed = nn.Embedding(128, width)
        self.places = nn.Parameter(0.02 * torch.randn(CONTEXT, width))
        self.layers = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 128)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x) + self.places[: x.shape[1]]
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


def encoded(text: str) -> torch.Tensor:
    return torch.tensor([c for c in text.encode() if c < 128])


def program_text() -> torch.Tensor:
    """Source code: what the model learns first."""
    return encoded(inspect.getsource(inspect) + inspect.getsource(textwrap))


def prose() -> torch.Tensor:
    """The language reference as `help()` shows it: what it is fine-tuned on."""
    return encoded("\n".join(pydoc_data.topics.topics.values()))


def batches(text: torch.Tensor, count: int, size: int = 16, seed: int = 0):
    """Draw pieces of a text; the same ones for a seed."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        starts = torch.randint(len(text) - CONTEXT - 1, (size,), generator=generator)
        pieces = torch.stack([text[s : s + CONTEXT + 1] for s in starts.tolist()])
        yield pieces[:, :-1], pieces[:, 1:]


def loss_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(model(x).flatten(0, 1), y.flatten())


@torch.no_grad()
def evaluate(model: nn.Module, text: torch.Tensor) -> float:
    losses = [loss_of(model, x, y).item() for x, y in batches(text, 10, seed=1)]
    return sum(losses) / len(losses)
