"""Fine-tuning with update rules: what is special stands in `optimizer_for`."""

import time

from model import batches, loss_of

import chainrule
import chainrule.torch
from chainrule import optimizers, schedules
from torch import nn


def optimizer_for(model: nn.Module, rate: float, decay: float, unfreeze: int, steps: int):
    optimizer = chainrule.torch.attach(model, optimizers.AdamW(weight_decay=0.01, eps_hat=False))
    rules, depth = optimizer.rules, len(model.layers)
    matrices = rules[model.layers].where(lambda name, p: p.ndim == 2)
    matrices.use(muon := optimizers.Muon(weight_decay=0.01))
    optimizer.lr = schedules.linear(rate, 0.0, steps)
    muon.lr = schedules.linear(5 * rate, 0.0, steps)
    for i, layer in enumerate([model.embed, model.places, *model.layers]):
        below = min(depth, depth + 2 - i)  # layers from the top
        for rule in rules[layer]:
            name = "lr" if rule in list(matrices) else "alpha"
            setattr(rule.hyperparam, name, chainrule.inherit * decay**below)
        rules[layer].enabled = schedules.after(unfreeze * max(0, below - 1))
    optimizer.observe(rules, ["update_ratio"])
    return optimizer


def train(model: nn.Module, text, steps: int, rate: float, decay: float, unfreeze: int):
    optimizer = optimizer_for(model, rate, decay, unfreeze, steps)
    losses, ratios, seconds = [], [], 0.0
    for x, y in batches(text, steps):
        optimizer.zero_grad()
        loss = loss_of(model, x, y)
        loss.backward()
        start = time.perf_counter()
        optimizer.step()
        ratios.append({n: r.statistics.get("update_ratio") for n, r in optimizer.rules.items()})
        seconds += time.perf_counter() - start
        losses.append(loss.item())
    return losses, ratios, seconds, optimizer
