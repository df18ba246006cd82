"""Writes schedules.npz: learning rates of PyTorch's and optax's schedulers, step by step.

Run it where both are installed: ``pip install torch==2.13.0 optax`` (in float64, with
``JAX_ENABLE_X64=1``). Tests import :data:`CASES` from here, which needs neither.
"""

from __future__ import annotations

import pathlib

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
STEPS = 130
BASE = 0.3

#: case -> what chainrule.schedules makes of it, as text
CASES = {
    "torch/CosineAnnealingLR": "cosine(0.3, 0.01, 100)",
    "torch/LinearLR/up": "0.3 * warmup(40, start=0.25)",
    "torch/LinearLR/down": "linear(0.3, 0.03, 60)",
    "torch/PolynomialLR": "polynomial(0.3, 0.0, 50, 2)",
    "torch/ExponentialLR": "exponential(0.3, 0.95)",
    "torch/StepLR": "exponential(0.3, 0.5, steps=30, staircase=True)",
    "torch/MultiStepLR": "piecewise([20, 70], [0.3, 0.03, 0.003])",
    "torch/ConstantLR": "0.3 * piecewise([10], [0.5, 1.0])",
    "torch/SequentialLR": "piecewise([20], [0.3 * warmup(20, 0.1), cosine(0.3, 0.0, 80, 20)])",
    "torch/LambdaLR": "0.3 * minimum((step + 1) ** -0.5, (step + 1) * 16 ** -1.5)",
    "optax/warmup_cosine_decay": "minimum(warmup(20) * 0.3, cosine(0.3, 0.01, 100, begin=20))",
    "optax/linear": "linear(0.3, 0.1, 40, begin=10)",
    "optax/polynomial": "polynomial(0.3, 0.05, 40, 1.5, begin=10)",
    "optax/exponential": "exponential(0.3, 0.5, steps=20, begin=10)",
    "optax/exponential/staircase": "exponential(0.3, 0.5, steps=20, begin=10, staircase=True)",
    "optax/piecewise_constant": "piecewise([30, 60], [0.3, 0.15, 0.015])",
}


def load() -> dict[str, np.ndarray]:
    with np.load(HERE / "schedules.npz") as file:
        return dict(file)


def from_torch() -> dict[str, np.ndarray]:
    from torch.optim import lr_scheduler as lrs

    import torch

    makers = {
        "CosineAnnealingLR": lambda o: lrs.CosineAnnealingLR(o, 100, eta_min=0.01),
        "LinearLR/up": lambda o: lrs.LinearLR(o, 0.25, 1.0, 40),
        "LinearLR/down": lambda o: lrs.LinearLR(o, 1.0, 0.1, 60),
        "PolynomialLR": lambda o: lrs.PolynomialLR(o, 50, 2),
        "ExponentialLR": lambda o: lrs.ExponentialLR(o, 0.95),
        "StepLR": lambda o: lrs.StepLR(o, 30, 0.5),
        "MultiStepLR": lambda o: lrs.MultiStepLR(o, [20, 70], 0.1),
        "ConstantLR": lambda o: lrs.ConstantLR(o, 0.5, 10),
        "SequentialLR": lambda o: lrs.SequentialLR(
            o, [lrs.LinearLR(o, 0.1, 1.0, 20), lrs.CosineAnnealingLR(o, 80)], [20]
        ),
        "LambdaLR": lambda o: lrs.LambdaLR(o, lambda t: min((t + 1) ** -0.5, (t + 1) * 16**-1.5)),
    }
    # After its T_max this one goes up again, where ours stays.
    lengths = {"CosineAnnealingLR": 101, "SequentialLR": 101}
    out = {}
    for name, make in makers.items():
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE)
        scheduler = make(optimizer)
        rates = []
        for _ in range(lengths.get(name, STEPS)):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        out[f"torch/{name}"] = np.array(rates)
    return out


def from_optax() -> dict[str, np.ndarray]:
    import optax

    schedules = {
        "warmup_cosine_decay": optax.warmup_cosine_decay_schedule(0.0, BASE, 20, 120, 0.01),
        "linear": optax.linear_schedule(BASE, 0.1, 40, 10),
        "polynomial": optax.polynomial_schedule(BASE, 0.05, 1.5, 40, 10),
        "exponential": optax.exponential_decay(BASE, 20, 0.5, 10),
        "exponential/staircase": optax.exponential_decay(BASE, 20, 0.5, 10, staircase=True),
        "piecewise_constant": optax.piecewise_constant_schedule(BASE, {30: 0.5, 60: 0.1}),
    }
    return {
        f"optax/{name}": np.array([float(schedule(t)) for t in range(STEPS)])
        for name, schedule in schedules.items()
    }


if __name__ == "__main__":
    arrays = {**from_torch(), **from_optax()}
    assert set(arrays) == set(CASES)
    np.savez_compressed(HERE / "schedules.npz", **arrays)
    print(f"schedules.npz: {len(arrays)} arrays")
