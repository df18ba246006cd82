"""One row per update rule: what its results are compared with, and how closely.

A rule without a row fails `test_optimizers.py`. Tolerances are in units of the dtype's machine
epsilon, after 100 steps: `param` relative to the larger of 1 and the value, `state` relative to
the value. The reference rounds after every operation where our kernels use fused multiply-adds,
so that each step may differ by half a unit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Row:
    """How one rule is tested."""

    #: Name in `chainrule._core.update_rules()`.
    rule: str
    #: Names of the optimizer classes that use it.
    classes: tuple[str, ...]
    #: Arguments under which PyTorch computes the same: ours, and a factory of theirs.
    ours: dict[str, Any] | None = None
    torch: Callable[[Any, Any], Any] | None = None
    param: float = 8
    state: float = 64


def _adam(name: str, **kwargs: Any) -> Callable[[Any, Any], Any]:
    # eps=0: ours is added before the correction of the second moment, PyTorch's after it.
    return lambda torch, params: getattr(torch.optim, name)(params, eps=0.0, **kwargs)


ROWS = (
    Row(
        "SGD",
        ("SGD",),
        {"lr": 0.05},
        lambda torch, params: torch.optim.SGD(params, lr=0.05),
    ),
    Row(
        "MomentumSGD",
        ("MomentumSGD",),
        {"lr": 0.05, "momentum": 0.8},
        lambda torch, params: torch.optim.SGD(params, lr=0.05, momentum=0.8),
    ),
    Row(
        "CorrectedMomentumSGD",
        ("CorrectedMomentumSGD",),
        {"lr": 0.05, "momentum": 0.8},
        lambda torch, params: torch.optim.SGD(params, lr=0.05, momentum=0.8),
    ),
    Row("NesterovAG", ("NesterovAG",)),
    Row(
        "Adam",
        ("Adam", "AdamW", "AMSGrad", "AdaBound", "AMSBound"),
        {"alpha": 0.01, "beta2": 0.99, "eps": 0.0},
        _adam("Adam", lr=0.01, betas=(0.9, 0.99)),
    ),
    Row(
        "AdaGrad",
        ("AdaGrad",),
        {"lr": 0.05, "eps": 1e-6},
        lambda torch, params: torch.optim.Adagrad(params, lr=0.05, eps=1e-6),
    ),
    Row(
        "AdaDelta",
        ("AdaDelta",),
        {"rho": 0.9, "eps": 1e-4},
        lambda torch, params: torch.optim.Adadelta(params, lr=1.0, rho=0.9, eps=1e-4),
    ),
    Row(
        "RMSprop",
        ("RMSprop",),
        {"lr": 0.01, "alpha": 0.9, "eps": 1e-6},
        lambda torch, params: torch.optim.RMSprop(params, lr=0.01, alpha=0.9, eps=1e-6),
    ),
    Row("RMSpropGraves", ("RMSpropGraves",)),
    Row("SMORMS3", ("SMORMS3",)),
    # At the first step the variance is 0/0 in exact arithmetic: (v - m^2) / (1 - 0.9999) blows the
    # last bits of v - m^2 up by 10^4, and they depend on the order of operations.
    Row("MSVAG", ("MSVAG",), param=1e4),
    # The rules below are compared in `test_golden_modern.py`.
    Row("Lion", ("Lion",)),
    Row("NAdam", ("NAdam",)),
    Row("RAdam", ("RAdam",)),
    Row("AdEMAMix", ("AdEMAMix",)),
    # optax computes rates and corrections in float32.
    Row("ADOPT", ("ADOPT",), param=16),
    Row("AdaBelief", ("AdaBelief",)),
    Row("Adamax", ("Adamax",), param=16),
    Row("Rprop", ("Rprop",)),
    Row("ScheduleFreeSGD", ("ScheduleFreeSGD",)),
    Row("ScheduleFreeAdamW", ("ScheduleFreeAdamW",)),
    Row("LAMB", ("LAMB",)),
    Row("LARS", ("LARS",)),
    Row("StableAdamW", ("StableAdamW",), param=16),
    # A difference in `d`, which is a quotient of sums that cancel, is in all that follows.
    Row("Prodigy", ("Prodigy",), param=128, state=512),
    # Rules for whole tensors are compared in test_golden_tensor_rules.py.
    Row("Muon", ("Muon",)),
    Row("Adafactor", ("Adafactor",)),
    Row("SOAP", ("SOAP",)),
)

#: More comparisons with PyTorch: optimizer class, our arguments, a factory of theirs.
VARIANTS: dict[str, tuple[str, dict[str, Any], Callable[[Any, Any], Any]]] = {
    # PyTorch multiplies the decay by the rate, we do not.
    "AdamW": (
        "AdamW",
        {"alpha": 0.01, "eps": 0.0, "weight_decay_rate": 0.01 * 0.2},
        _adam("AdamW", lr=0.01, weight_decay=0.2),
    ),
    "AMSGrad": (
        "AMSGrad",
        {"alpha": 0.01, "beta2": 0.9, "eps": 0.0},
        _adam("Adam", lr=0.01, betas=(0.9, 0.9), amsgrad=True),
    ),
    "AdamW and AMSGrad": (
        "Adam",
        {"alpha": 0.01, "eps": 0.0, "weight_decay_rate": 0.01 * 0.2, "amsgrad": True},
        _adam("AdamW", lr=0.01, weight_decay=0.2, amsgrad=True),
    ),
}
