"""Rules for whole tensors, as PyTorch and pytorch-optimizer compute them.

``python -m golden.golden_tensor_rules`` writes ``tensor_rules.npz``; README.md says with which
packages. Tests import the cases, for which NumPy is enough.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from golden import golden_cases as cases

STEPS = (1, 2, 10, 50)
DTYPES = ("float32", "float64")

MATRICES = {"wide": (4, 9), "tall": (9, 4), "square": (6, 6)}
FULL_RANK = {"square": (6, 6), "vector": (7,)}
ALL = {"wide": (4, 9), "tall": (9, 4), "vector": (7,), "scalar": (), "stack": (3, 5, 4)}


@dataclasses.dataclass(frozen=True)
class Case:
    """Arguments of ours, and the name of the function below that makes the reference."""

    cls: str
    ours: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]
    reference: str
    theirs: dict[str, Any]


CASES = {
    "Muon/torch": Case(
        "Muon",
        {"lr": 0.05, "weight_decay": 0.1},
        MATRICES,
        "torch_muon",
        {"lr": 0.05, "weight_decay": 0.1},
    ),
    "Muon/torch_moonlight": Case(
        "Muon",
        {"lr": 0.01, "momentum": 0.9, "match_rms_adamw": True, "nesterov": False},
        MATRICES,
        "torch_muon",
        {
            "lr": 0.01,
            "weight_decay": 0.0,
            "momentum": 0.9,
            "nesterov": False,
            "adjust_lr_fn": "match_rms_adamw",
        },
    ),
    "Muon/flatten": Case(
        "Muon",
        {"lr": 0.03, "flatten": True, "weight_decay": 0.2},
        {"kernel": (5, 3, 2, 2), "wide": (4, 9), "tall": (9, 2, 2)},
        "other_muon",
        {"lr": 0.03, "weight_decay": 0.2},
    ),
    "Adafactor/torch": Case(
        "Adafactor",
        {"lr": 0.05, "weight_decay": 0.1},
        ALL,
        "torch_adafactor",
        {"lr": 0.05, "weight_decay": 0.1, "eps": (1e-30, 1e-3)},
    ),
    "Adafactor/momentum": Case(
        "Adafactor",
        {"beta1": 0.9, "eps1": 1e-5, "clip_threshold": 0.5, "decay_rate": 0.7},
        ALL,
        "other_adafactor",
        {"betas": (0.9, 0.9999), "eps1": 1e-5, "clip_threshold": 0.5, "decay_rate": -0.7},
    ),
    "Adafactor/absolute": Case(
        "Adafactor",
        {"lr": 0.02, "relative_step": False, "scale_parameter": False, "eps1": 1e-8},
        ALL,
        "other_adafactor",
        {
            "lr": 0.02,
            "betas": (None, 0.9999),
            "relative_step": False,
            "scale_parameter": False,
            "eps1": 1e-8,
        },
    ),
    "SOAP/plain": Case(
        "SOAP",
        {"lr": 0.02, "weight_decay": 0.1, "precondition_frequency": 3},
        FULL_RANK,
        "other_soap",
        {"lr": 0.02, "weight_decay": 0.1, "precondition_frequency": 3},
    ),
    "SOAP/one_side": Case(
        "SOAP",
        {
            "lr": 0.01,
            "weight_decay": 0.0,
            "beta1": 0.9,
            "beta2": 0.99,
            "shampoo_beta": 0.8,
            "precondition_frequency": 2,
            "max_precondition_dim": 6,
        },
        {"wide": (4, 9), "tall": (9, 4), "square": (6, 6), "vector": (7,)},
        "other_soap",
        {
            "lr": 0.01,
            "weight_decay": 0.0,
            "betas": (0.9, 0.99),
            "shampoo_beta": 0.8,
            "precondition_frequency": 2,
            "max_precondition_dim": 6,
        },
    ),
}


def start(case: Case, dtype: str) -> dict[str, np.ndarray]:
    """Initial values of the parameters, by name."""
    rng = np.random.RandomState(11)
    return {name: np.asarray(cases.draw(rng, s, dtype)) for name, s in case.shapes.items()}


def gradients(case: Case, dtype: str, steps: int) -> list[dict[str, np.ndarray]]:
    """The gradients of steps 1 to ``steps``: noise about a mean of its own for each element."""
    rng = np.random.RandomState(12)
    mean = {name: cases.draw(rng, s, "float64") for name, s in case.shapes.items()}
    sequence = []
    for _ in range(steps):
        sequence.append(
            {
                name: np.asarray(cases.draw(rng, s, "float64") + mean[name]).astype(dtype)
                for name, s in case.shapes.items()
            }
        )
    return sequence


def torch_muon(params: list, theirs: dict[str, Any]) -> Any:
    import torch

    # The iteration runs in the gradient's own type rather than in bfloat16.
    torch.Tensor.bfloat16 = lambda self: self.clone()
    return torch.optim.Muon(params, **theirs)


def other_muon(params: list, theirs: dict[str, Any]) -> Any:
    import pytorch_optimizer
    from pytorch_optimizer.optimizer.muon import base

    iterate = base.zero_power_via_newton_schulz_5
    base.zero_power_via_newton_schulz_5 = lambda g, **kwds: iterate(g, **{**kwds, "dtype": g.dtype})
    return pytorch_optimizer.Muon([{"params": params, "use_muon": True}], **theirs)


def torch_adafactor(params: list, theirs: dict[str, Any]) -> Any:
    import torch

    return torch.optim.Adafactor(params, **theirs)


def other_adafactor(params: list, theirs: dict[str, Any]) -> Any:
    import pytorch_optimizer

    return pytorch_optimizer.AdaFactor(
        params, momentum_dtype=params[0].dtype, foreach=False, **theirs
    )


def other_soap(params: list, theirs: dict[str, Any]) -> Any:
    import pytorch_optimizer

    import torch

    # QR runs in the parameter's own type rather than in float32.
    if params[0].dtype == torch.float64:
        torch.Tensor.to = lambda self, *a, **k: self
    return pytorch_optimizer.SOAP(params, **theirs)


def run(case: Case, dtype: str) -> dict[str, np.ndarray]:
    """Train as long as the longest case, and give the parameters at ``STEPS``."""
    import torch

    saved = torch.Tensor.to
    params = {name: torch.tensor(value) for name, value in start(case, dtype).items()}
    optimizer = globals()[case.reference](list(params.values()), dict(case.theirs))
    out = {}
    for step, grads in enumerate(gradients(case, dtype, max(STEPS)), start=1):
        for name, param in params.items():
            param.grad = torch.tensor(grads[name])
        optimizer.step()
        if step in STEPS:
            for name, param in params.items():
                out[f"step{step}/{name}"] = param.numpy().copy()
    torch.Tensor.to = saved
    return out


def main() -> None:
    arrays = {}
    for name, case in CASES.items():
        for dtype in DTYPES:
            for key, value in run(case, dtype).items():
                arrays[f"{name}/{dtype}/{key}"] = value
    path = cases.HERE / "tensor_rules.npz"
    np.savez_compressed(path, **arrays)
    print(f"{path.name}: {len(arrays)} arrays, {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
