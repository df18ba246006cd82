"""Hooks on weights and updates, as PyTorch and pytorch-optimizer compute them.

``python -m golden.golden_weight_hooks`` writes ``weight_hooks.npz``; README.md says with which
packages. Tests import the cases, for which NumPy is enough.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from golden import golden_cases as cases

STEPS = (1, 2, 10, 50)
DTYPES = ("float32", "float64")
SHAPES = {"w": (4, 3), "b": (5,), "k": (7, 2)}

EMA_DECAY = 0.9
LOOKAHEAD = {"alpha": 0.4, "k": 3}
RHO = 0.2
MOMENTUM = {"lr": 0.05, "momentum": 0.8}
ADAFACTOR = {"beta1": 0.9, "eps1": 1e-5}
MUON = {"lr": 0.05, "weight_decay": 0.1, "nesterov": False}


def start(dtype: str) -> dict[str, np.ndarray]:
    rng = np.random.RandomState(21)
    return {name: cases.draw(rng, shape, dtype) for name, shape in SHAPES.items()}


def gradients(dtype: str) -> list[dict[str, np.ndarray]]:
    rng = np.random.RandomState(22)
    return [
        {name: cases.draw(rng, shape, dtype) for name, shape in SHAPES.items()}
        for _ in range(max(STEPS))
    ]


def targets(dtype: str) -> list[dict[str, np.ndarray]]:
    """Where the loss of SAM's case, ``sum((p - target) ** 2)``, is least."""
    return gradients(dtype)


def record(out: dict[str, np.ndarray], prefix: str, params: dict[str, Any]) -> None:
    for name, param in params.items():
        out[f"{prefix}/{name}"] = param.detach().numpy().copy()


def ema(out: dict[str, np.ndarray], dtype: str) -> None:
    import torch

    holder = torch.nn.ParameterDict({k: torch.tensor(v) for k, v in start(dtype).items()})
    average = torch.optim.swa_utils.AveragedModel(
        holder, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(EMA_DECAY)
    )
    optimizer = torch.optim.SGD(holder.parameters(), **MOMENTUM)
    for step, grads in enumerate(gradients(dtype), start=1):
        for name, param in holder.items():
            param.grad = torch.tensor(grads[name])
        optimizer.step()
        average.update_parameters(holder)
        if step in STEPS:
            record(out, f"EMA/{dtype}/step{step}", dict(average.module.items()))


def lookahead(out: dict[str, np.ndarray], dtype: str) -> None:
    import pytorch_optimizer

    import torch

    params = {k: torch.tensor(v, requires_grad=True) for k, v in start(dtype).items()}
    inner = torch.optim.SGD(list(params.values()), **MOMENTUM)
    optimizer = pytorch_optimizer.Lookahead(inner, **LOOKAHEAD)
    train(out, f"Lookahead/{dtype}", optimizer, params, dtype)


def train(
    out: dict[str, np.ndarray], prefix: str, optimizer: Any, params: dict[str, Any], dtype: str
) -> None:
    import torch

    for step, grads in enumerate(gradients(dtype), start=1):
        for name, param in params.items():
            param.grad = torch.tensor(grads[name])
        optimizer.step()
        if step in STEPS:
            record(out, f"{prefix}/step{step}", params)


def sam(out: dict[str, np.ndarray], dtype: str) -> None:
    import pytorch_optimizer

    import torch

    params = {k: torch.tensor(v, requires_grad=True) for k, v in start(dtype).items()}
    optimizer = pytorch_optimizer.SAM(
        list(params.values()), torch.optim.SGD, rho=RHO, perturb_eps=0.0, **MOMENTUM
    )
    for step, goals in enumerate(targets(dtype), start=1):

        def closure(goals: dict[str, np.ndarray] = goals) -> Any:
            optimizer.zero_grad()
            loss = sum(((p - torch.tensor(goals[k])) ** 2).sum() for k, p in params.items())
            loss.backward()
            return loss

        closure()
        optimizer.step(closure)
        if step in STEPS:
            record(out, f"SAM/{dtype}/step{step}", params)


def cautious(out: dict[str, np.ndarray], dtype: str) -> None:
    import pytorch_optimizer

    import torch
    from golden import golden_tensor_rules

    params = {k: torch.tensor(v) for k, v in start(dtype).items()}
    optimizer = pytorch_optimizer.AdaFactor(
        list(params.values()),
        betas=(ADAFACTOR["beta1"], 0.9999),
        eps1=ADAFACTOR["eps1"],
        momentum_dtype=params["w"].dtype,
        foreach=False,
        cautious=True,
    )
    train(out, f"Cautious/Adafactor/{dtype}", optimizer, params, dtype)
    params = {k: torch.tensor(v) for k, v in start(dtype).items() if v.ndim == 2}
    optimizer = golden_tensor_rules.other_muon(
        list(params.values()), {**MUON, "cautious": True, "foreach": False}
    )
    for group in optimizer.param_groups:
        group["cautious"] = True
    train(out, f"Cautious/Muon/{dtype}", optimizer, params, dtype)


def main() -> None:
    out: dict[str, np.ndarray] = {}
    for dtype in DTYPES:
        for make in (ema, lookahead, sam, cautious):
            make(out, dtype)
    path = cases.HERE / "weight_hooks.npz"
    np.savez_compressed(path, **out)
    print(f"{path.name}: {len(out)} arrays, {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
