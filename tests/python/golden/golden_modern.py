"""Rules that Chainer does not have, as PyTorch, optax and the authors' packages compute them.

``python -m golden.golden_modern`` writes ``modern.npz``; README.md says with which packages. Tests
import the cases, for which NumPy is enough: the references are imported where they are used.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from golden import golden_cases as cases

STEPS = (1, 2, 10, 50)
DTYPES = ("float32", "float64")


@dataclasses.dataclass(frozen=True)
class Case:
    """Arguments of ours, and what computes the same."""

    cls: str
    ours: dict[str, Any]
    #: Makes the reference from the parameters, a dict of arrays.
    reference: Callable[[dict[str, np.ndarray]], Any]
    #: Added to every gradient, so that there is a direction to go.
    shift: float = 0.0


class Torch:
    """An optimizer with PyTorch's interface; `states` maps our names to theirs."""

    def __init__(self, params: dict[str, np.ndarray], make: Any, states: dict[str, str]) -> None:
        import torch

        torch.set_default_dtype(torch.float64)  # that of numbers kept between steps
        self.params = {name: torch.tensor(value) for name, value in params.items()}
        self.optimizer = make(list(self.params.values()))
        self.states = states

    def step(self, grads: dict[str, np.ndarray]) -> None:
        import torch

        for name, tensor in self.params.items():
            tensor.grad = torch.tensor(grads[name])
        self.optimizer.step()

    def values(self, name: str) -> dict[str, Any]:
        """The parameter itself under '', and its states."""
        tensor = self.params[name]
        out = {"": tensor.detach().numpy()}
        state = self.optimizer.state.get(tensor, {})
        for ours, theirs in self.states.items():
            out[ours] = state[theirs].numpy().reshape(tensor.shape)
        return out


class ScheduleFree(Torch):
    """The authors' package; x is worked out as its `eval` does."""

    def __init__(self, params: dict[str, np.ndarray], make: Any, beta: float) -> None:
        super().__init__(params, make, {"z": "z"})
        self.optimizer.train()
        self.beta = beta

    def values(self, name: str) -> dict[str, Any]:
        out = super().values(name)
        y, z = self.params[name], self.optimizer.state[self.params[name]]["z"]
        out["x"] = y.lerp(z, 1 - 1 / self.beta).numpy()
        return out


class Optax:
    """A gradient transformation; the first update may be left out."""

    def __init__(self, params: dict[str, np.ndarray], make: Any, late: bool = False) -> None:
        import jax

        jax.config.update("jax_enable_x64", True)
        self.params = {name: jax.numpy.asarray(value) for name, value in params.items()}
        self.transform = make()
        self.state = self.transform.init(self.params)
        self.late = late

    def step(self, grads: dict[str, np.ndarray]) -> None:
        import optax

        updates, self.state = self.transform.update(grads, self.state, self.params)
        if not self.late:
            self.params = optax.apply_updates(self.params, updates)
        self.late = False

    def values(self, name: str) -> dict[str, Any]:
        return {"": np.asarray(self.params[name])}


def torch_optim(
    name: str, states: dict[str, str] | None = None, module: str = "torch.optim", **kwargs: Any
) -> Callable[[dict[str, np.ndarray]], Torch]:
    """Make a reference of a class in a package."""

    def make(params: list[Any]) -> Any:
        import importlib

        return getattr(importlib.import_module(module), name)(params, **kwargs)

    return lambda params: Torch(params, make, states or {})


def schedule_free(name: str, beta: float, **kwargs: Any) -> Callable[..., ScheduleFree]:
    def make(params: list[Any]) -> Any:
        import schedulefree

        return getattr(schedulefree, name)(params, foreach=False, **kwargs)

    return lambda params: ScheduleFree(params, make, beta)


def adopt(rate: float, decay: float, **kwargs: Any) -> Callable[..., Optax]:
    """The authors' program decays from the second update on, in which optax agrees if told so."""

    def make() -> Any:
        import optax
        from optax.contrib._adopt import scale_by_adopt

        return optax.chain(
            scale_by_adopt(**kwargs),
            optax.add_decayed_weights(decay),
            optax.scale_by_learning_rate(rate),
        )

    return lambda params: Optax(params, make, late=True)


def optax_alias(name: str, rate: float, **kwargs: Any) -> Callable[..., Optax]:
    def make() -> Any:
        import optax

        return getattr(optax, name)(rate, **kwargs)

    return lambda params: Optax(params, make)


_MV = {"m": "exp_avg", "v": "exp_avg_sq"}
_PRODIGY = {**_MV, "s": "s", "p0": "p0"}
_BETAS = {"beta1": 0.8, "beta2": 0.95}

CASES: dict[str, Case] = {
    "Lion/default": Case(
        "Lion", {}, torch_optim("Lion", {"m": "exp_avg"}, "lion_pytorch", lr=1e-4)
    ),
    "Lion/tuned": Case(
        "Lion",
        {"lr": 0.01, "beta1": 0.8, "beta2": 0.95, "weight_decay": 0.3},
        torch_optim(
            "Lion", {"m": "exp_avg"}, "lion_pytorch", lr=0.01, betas=(0.8, 0.95), weight_decay=0.3
        ),
    ),
    "NAdam/default": Case("NAdam", {}, torch_optim("NAdam", _MV)),
    "NAdam/tuned": Case(
        "NAdam",
        {"alpha": 0.01, **_BETAS, "eps": 1e-4, "momentum_decay": 0.02, "weight_decay": 0.3},
        torch_optim(
            "NAdam",
            _MV,
            lr=0.01,
            betas=(0.8, 0.95),
            eps=1e-4,
            momentum_decay=0.02,
            weight_decay=0.3,
            decoupled_weight_decay=True,
        ),
    ),
    "RAdam/default": Case("RAdam", {}, torch_optim("RAdam", _MV)),
    "RAdam/tuned": Case(
        "RAdam",
        {"alpha": 0.01, **_BETAS, "eps": 1e-4, "weight_decay": 0.3},
        torch_optim(
            "RAdam",
            _MV,
            lr=0.01,
            betas=(0.8, 0.95),
            eps=1e-4,
            weight_decay=0.3,
            decoupled_weight_decay=True,
        ),
    ),
    "AdEMAMix/default": Case(
        "AdEMAMix",
        {},
        torch_optim(
            "AdEMAMix",
            {"m1": "exp_avg", "m2": "exp_avg_slow", "v": "exp_avg_sq"},
            "pytorch_optimizer",
            lr=1e-3,
            betas=(0.9, 0.999, 0.9999),
            alpha=5.0,
            weight_decay=0.0,
        ),
    ),
    "AdEMAMix/warmup": Case(
        "AdEMAMix",
        {
            "alpha": 0.01,
            **_BETAS,
            "beta3": 0.99,
            "mixing": 3.0,
            "warmup": 30,
            "eps": 1e-4,
            "weight_decay": 0.3,
        },
        torch_optim(
            "AdEMAMix",
            {"m1": "exp_avg", "m2": "exp_avg_slow", "v": "exp_avg_sq"},
            "pytorch_optimizer",
            lr=0.01,
            betas=(0.8, 0.95, 0.99),
            alpha=3.0,
            t_alpha_beta3=30,
            eps=1e-4,
            weight_decay=0.3,
            weight_decouple=True,
        ),
    ),
    "ADOPT/default": Case("ADOPT", {}, adopt(1e-3, 0.0)),
    "ADOPT/tuned": Case(
        "ADOPT",
        {"alpha": 0.01, **_BETAS, "eps": 1e-4, "weight_decay": 0.3},
        adopt(0.01, 0.3, b1=0.8, b2=0.95, eps=1e-4),
    ),
    "ADOPT/unclipped": Case(
        "ADOPT", {"alpha": 0.01, "clip": False}, adopt(0.01, 0.0, use_clipping=False)
    ),
    "AdaBelief/default": Case(
        "AdaBelief",
        {},
        torch_optim(
            "AdaBelief",
            {"m": "exp_avg", "s": "exp_avg_var"},
            "adabelief_pytorch",
            lr=1e-3,
            eps=1e-16,
            rectify=False,
            print_change_log=False,
        ),
    ),
    "AdaBelief/tuned": Case(
        "AdaBelief",
        {"alpha": 0.01, **_BETAS, "eps": 1e-6, "weight_decay": 0.3},
        torch_optim(
            "AdaBelief",
            {"m": "exp_avg", "s": "exp_avg_var"},
            "adabelief_pytorch",
            lr=0.01,
            betas=(0.8, 0.95),
            eps=1e-6,
            weight_decay=0.3,
            rectify=False,
            print_change_log=False,
        ),
    ),
    "Adamax/default": Case(
        "Adamax", {}, torch_optim("Adamax", {"m": "exp_avg", "u": "exp_inf"}, lr=0.002)
    ),
    "Adamax/tuned": Case(
        "Adamax",
        {"alpha": 0.01, **_BETAS, "eps": 1e-4, "weight_decay": 0.3},
        optax_alias("adamaxw", 0.01, b1=0.8, b2=0.95, eps=1e-4, weight_decay=0.3),
    ),
    "Rprop/default": Case("Rprop", {}, torch_optim("Rprop", {"g": "prev", "delta": "step_size"})),
    "Rprop/tuned": Case(
        "Rprop",
        {"lr": 0.05, "eta_minus": 0.4, "eta_plus": 1.5, "min_step": 0.01, "max_step": 0.1},
        torch_optim(
            "Rprop",
            {"g": "prev", "delta": "step_size"},
            lr=0.05,
            etas=(0.4, 1.5),
            step_sizes=(0.01, 0.1),
        ),
    ),
    "ScheduleFreeSGD/default": Case(
        "ScheduleFreeSGD", {"lr": 0.1}, schedule_free("SGDScheduleFree", 0.9, lr=0.1)
    ),
    "ScheduleFreeSGD/tuned": Case(
        "ScheduleFreeSGD",
        {
            "lr": 0.05,
            "momentum": 0.7,
            "weight_decay": 0.1,
            "warmup_steps": 20,
            "r": 0.5,
            "weight_lr_power": 1.5,
        },
        schedule_free(
            "SGDScheduleFree",
            0.7,
            lr=0.05,
            momentum=0.7,
            weight_decay=0.1,
            warmup_steps=20,
            r=0.5,
            weight_lr_power=1.5,
        ),
    ),
    "ScheduleFreeAdamW/default": Case(
        "ScheduleFreeAdamW", {}, schedule_free("AdamWScheduleFree", 0.9)
    ),
    "ScheduleFreeAdamW/tuned": Case(
        "ScheduleFreeAdamW",
        {
            "alpha": 0.01,
            **_BETAS,
            "eps": 1e-4,
            "weight_decay": 0.3,
            "warmup_steps": 20,
            "r": 0.5,
            "weight_lr_power": 1.5,
        },
        schedule_free(
            "AdamWScheduleFree",
            0.8,
            lr=0.01,
            betas=(0.8, 0.95),
            eps=1e-4,
            weight_decay=0.3,
            warmup_steps=20,
            r=0.5,
            weight_lr_power=1.5,
        ),
    ),
    "LAMB/default": Case("LAMB", {}, optax_alias("lamb", 1e-3)),
    "LAMB/tuned": Case(
        "LAMB",
        {"alpha": 0.01, **_BETAS, "eps": 1e-4, "weight_decay": 0.3},
        optax_alias("lamb", 0.01, b1=0.8, b2=0.95, eps=1e-4, weight_decay=0.3),
    ),
    "LARS/tuned": Case(
        "LARS",
        {"lr": 0.5, "momentum": 0.8, "weight_decay": 0.1, "trust_coefficient": 0.02, "eps": 1e-3},
        torch_optim(
            "LARS",
            module="torch_optimizer",
            lr=0.5,
            momentum=0.8,
            weight_decay=0.1,
            trust_coefficient=0.02,
            eps=1e-3,
        ),
    ),
    "StableAdamW/default": Case(
        "StableAdamW", {}, torch_optim("StableAdamW", _MV, "optimi", lr=1e-3, weight_decay=0.01)
    ),
    "StableAdamW/tuned": Case(
        "StableAdamW",
        {"alpha": 0.01, **_BETAS, "eps": 1e-2, "weight_decay": 0.3},
        torch_optim(
            "StableAdamW", _MV, "optimi", lr=0.01, betas=(0.8, 0.95), eps=1e-2, weight_decay=0.3
        ),
    ),
    "Prodigy/default": Case("Prodigy", {}, torch_optim("Prodigy", _PRODIGY, "prodigyopt"), 1.0),
    "Prodigy/tuned": Case(
        "Prodigy",
        {
            "alpha": 0.7,
            **_BETAS,
            "beta3": 0.99,
            "eps": 1e-4,
            "weight_decay": 0.1,
            "d0": 1e-3,
            "d_coef": 2.0,
            "growth_rate": 1.2,
            "use_bias_correction": True,
        },
        torch_optim(
            "Prodigy",
            _PRODIGY,
            "prodigyopt",
            lr=0.7,
            betas=(0.8, 0.95),
            beta3=0.99,
            eps=1e-4,
            weight_decay=0.1,
            d0=1e-3,
            d_coef=2.0,
            growth_rate=1.2,
            use_bias_correction=True,
        ),
        1.0,
    ),
    "Prodigy/safeguard_warmup": Case(
        "Prodigy",
        {"d0": 0.01, "safeguard_warmup": True, "use_bias_correction": True},
        torch_optim(
            "Prodigy",
            _PRODIGY,
            "prodigyopt",
            d0=0.01,
            safeguard_warmup=True,
            use_bias_correction=True,
        ),
        1.0,
    ),
}


def gradients(case: Case, dtype: str, steps: int) -> list[dict[str, np.ndarray]]:
    """The gradients of all steps."""
    sequence = cases.gradients(dtype, steps)
    shift = np.dtype(dtype).type(case.shift)
    return [{name: grad + shift for name, grad in grads.items()} for grads in sequence]


def make() -> dict[str, np.ndarray]:
    """All arrays of ``modern.npz``: ``<case>/<dtype>/step<n>/p0[/<state>]``."""
    out = {}
    for name, case in CASES.items():
        for dtype in DTYPES:
            reference = case.reference(cases.start(dtype))
            for step, grads in enumerate(gradients(case, dtype, max(STEPS)), start=1):
                reference.step(grads)
                if step not in STEPS:
                    continue
                for param in cases.SHAPES:
                    for state, value in reference.values(param).items():
                        key = f"{name}/{dtype}/step{step}/{param}"
                        out[f"{key}/{state}" if state else key] = np.array(value)
    return out


if __name__ == "__main__":
    np.savez_compressed(cases.HERE / "modern.npz", **make())
