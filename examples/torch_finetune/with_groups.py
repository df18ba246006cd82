"""The same fine-tuning with PyTorch's own means: two optimizers, groups, schedulers."""

import time

from model import batches, loss_of

import torch
from torch import nn


def optimizers_for(model: nn.Module, rate: float, decay: float, unfreeze: int, steps: int):
    depth = len(model.layers)
    parts = [(0, [*model.norm.named_parameters("norm"), *model.head.named_parameters("head")])]
    for i, layer in enumerate(model.layers):
        parts.append((depth - i, list(layer.named_parameters(f"layers.{i}"))))
    parts.append((depth, [("embed.weight", model.embed.weight), ("places", model.places)]))
    adam_groups, muon_groups, waiting = [], [], []
    for below, named in parts:
        matrices = [(n, p) for n, p in named if p.ndim == 2 and n.startswith("layers.")]
        others = [(n, p) for n, p in named if not (p.ndim == 2 and n.startswith("layers."))]
        scale = decay**below
        groups = (
            {"params": [p for _, p in others], "lr": rate * scale, "initial_lr": rate * scale},
            {
                "params": [p for _, p in matrices],
                "lr": 5 * rate * scale,
                "initial_lr": 5 * rate * scale,
            },
        )
        at = unfreeze * (below - 1)
        if at > 0:
            for _, p in named:
                p.requires_grad_(False)
            waiting.append((at, [p for _, p in named], groups))
            continue
        adam_groups.append(groups[0])
        if matrices:
            muon_groups.append(groups[1])
    adam = torch.optim.AdamW(adam_groups, weight_decay=0.01)
    muon = torch.optim.Muon(muon_groups, weight_decay=0.01)
    return adam, muon, waiting


def unfreeze_at(step: int, adam, muon, waiting) -> None:
    for at, params, (others, matrices) in list(waiting):
        if step < at:
            continue
        waiting.remove((at, params, (others, matrices)))
        for p in params:
            p.requires_grad_(True)
        if others["params"]:
            adam.add_param_group(others)
        if matrices["params"]:
            muon.add_param_group(matrices)


def set_rates(step: int, steps: int, *optimizers) -> None:
    # A scheduler counts its groups when it is made, and more are coming.
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * (1 - step / steps)


def train(model: nn.Module, text, steps: int, rate: float, decay: float, unfreeze: int):
    adam, muon, waiting = optimizers_for(model, rate, decay, unfreeze, steps)
    losses, ratios, seconds = [], [], 0.0
    for step, (x, y) in enumerate(batches(text, steps)):
        start = time.perf_counter()
        unfreeze_at(step, adam, muon, waiting)
        set_rates(step, steps, adam, muon)
        seconds += time.perf_counter() - start
        adam.zero_grad()
        muon.zero_grad()
        loss = loss_of(model, x, y)
        loss.backward()
        start = time.perf_counter()
        before = {n: p.detach().clone() for n, p in model.named_parameters() if p.grad is not None}
        adam.step()
        muon.step()
        with torch.no_grad():
            named = dict(model.named_parameters())
            ratios.append({n: ((named[n] - q).norm() / q.norm()).item() for n, q in before.items()})
        seconds += time.perf_counter() - start
        losses.append(loss.item())
    return losses, ratios, seconds, (adam, muon)
