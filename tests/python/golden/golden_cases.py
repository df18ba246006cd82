"""What the golden files contain: the cases, and the seeded starts and gradients.

This module needs NumPy only, so that the tests can import it and walk the very same
tables that the generators walked in Chainer's environment.  All seeded numbers are
integers over a power of two, drawn with ``RandomState.randint``: they are the same bits
under every NumPy and on every machine, and exact in float32.
"""

from __future__ import annotations

import pathlib

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent

#: Names and shapes of the two parameters every optimizer and hook case trains.
SHAPES = {"p0": (5, 3), "p1": (7,)}
START_SEED = 1
GRADIENT_SEED = 2
#: Element 0 of ``p1`` never receives a gradient (its gradient is exactly 0.0).
DEAD = ("p1", 0)

STEPS = (1, 2, 10, 100)
STEPS_FLOAT16 = (1, 2, 10, 20)
STEPS_SCENARIOS = (2, 10, 20)
STEPS_HOOKS = (1, 2, 10, 20)


def draw(rng: np.random.RandomState, shape: tuple[int, ...], dtype: str = "float64") -> np.ndarray:
    """Numbers in [-2, 2) with 14 binary places (float16 rounds them, to nearest)."""
    return (rng.randint(-(2**15), 2**15, size=shape) / 2.0**14).astype(dtype)


def start(dtype: str) -> dict[str, np.ndarray]:
    """Initial values of the parameters, by name."""
    rng = np.random.RandomState(START_SEED)
    return {name: draw(rng, shape, dtype) for name, shape in SHAPES.items()}


def gradients(dtype: str, steps: int) -> list[dict[str, np.ndarray]]:
    """The gradients of steps 1 to ``steps``; drawn step by step, p0 before p1."""
    rng = np.random.RandomState(GRADIENT_SEED)
    sequence = []
    for _ in range(steps):
        grads = {name: draw(rng, shape, dtype) for name, shape in SHAPES.items()}
        grads[DEAD[0]][DEAD[1]] = 0
        sequence.append(grads)
    return sequence


#: case -> (class name in chainer.optimizers, keyword arguments)
OPTIMIZERS: dict[str, tuple[str, dict]] = {
    "SGD/default": ("SGD", {}),
    "SGD/tuned": ("SGD", {"lr": 0.05}),
    "MomentumSGD/default": ("MomentumSGD", {}),
    "MomentumSGD/tuned": ("MomentumSGD", {"lr": 0.05, "momentum": 0.8}),
    "Adam/plain": ("Adam", {}),
    "Adam/tuned": ("Adam", {"alpha": 0.01, "beta1": 0.8, "beta2": 0.95, "eps": 1e-4}),
    "Adam/eta": ("Adam", {"alpha": 0.01, "eta": 0.5}),
    "Adam/weight_decay_rate": ("Adam", {"alpha": 0.01, "weight_decay_rate": 0.02}),
    "Adam/eta_weight_decay_rate": (
        "Adam",
        {"alpha": 0.01, "eta": 0.5, "weight_decay_rate": 0.02},
    ),
    "Adam/amsgrad": ("Adam", {"alpha": 0.01, "beta2": 0.9, "amsgrad": True}),
    "Adam/adabound": ("Adam", {"alpha": 0.01, "adabound": True}),
    "Adam/adabound_final_lr_gamma": (
        "Adam",
        {"alpha": 0.01, "adabound": True, "final_lr": 0.02, "gamma": 0.05},
    ),
    "Adam/amsbound_weight_decay_rate": (
        "Adam",
        {
            "alpha": 0.01,
            "amsgrad": True,
            "adabound": True,
            "final_lr": 0.02,
            "gamma": 0.05,
            "weight_decay_rate": 0.02,
        },
    ),
    "AdamW/default": ("AdamW", {}),
    "AdamW/tuned": ("AdamW", {"alpha": 0.01, "eta": 0.5, "weight_decay_rate": 0.05}),
    "AMSGrad/default": ("AMSGrad", {}),
    "AMSGrad/tuned": ("AMSGrad", {"alpha": 0.01, "beta2": 0.9, "eta": 0.7}),
    "AdaBound/default": ("AdaBound", {}),
    "AdaBound/tuned": ("AdaBound", {"alpha": 0.01, "final_lr": 0.02, "gamma": 0.05}),
    "AMSBound/default": ("AMSBound", {}),
    "AMSBound/tuned": (
        "AMSBound",
        {"alpha": 0.01, "beta2": 0.9, "final_lr": 0.02, "gamma": 0.05, "eta": 0.7},
    ),
    "CorrectedMomentumSGD/default": ("CorrectedMomentumSGD", {}),
    "CorrectedMomentumSGD/tuned": ("CorrectedMomentumSGD", {"lr": 0.05, "momentum": 0.8}),
    "NesterovAG/default": ("NesterovAG", {}),
    "NesterovAG/tuned": ("NesterovAG", {"lr": 0.05, "momentum": 0.8}),
    "AdaGrad/default": ("AdaGrad", {}),
    "AdaGrad/tuned": ("AdaGrad", {"lr": 0.05, "eps": 1e-4}),
    "AdaDelta/default": ("AdaDelta", {}),
    "AdaDelta/tuned": ("AdaDelta", {"rho": 0.8, "eps": 1e-4}),
    "RMSprop/default": ("RMSprop", {}),
    "RMSprop/tuned": ("RMSprop", {"lr": 0.005, "alpha": 0.9, "eps": 1e-4}),
    "RMSprop/eps_inside_sqrt": (
        "RMSprop",
        {"lr": 0.005, "alpha": 0.9, "eps": 1e-4, "eps_inside_sqrt": True},
    ),
    "RMSpropGraves/default": ("RMSpropGraves", {}),
    "RMSpropGraves/tuned": (
        "RMSpropGraves",
        {"lr": 0.005, "alpha": 0.9, "momentum": 0.8, "eps": 1e-3},
    ),
    "SMORMS3/default": ("SMORMS3", {}),
    "SMORMS3/tuned": ("SMORMS3", {"lr": 0.05, "eps": 1e-8}),
    "MSVAG/default": ("MSVAG", {}),
    "MSVAG/tuned": (
        "MSVAG",
        {"lr": 0.05, "beta": 0.8, "eta": 0.5, "weight_decay_rate": 0.02},
    ),
}

#: Optimizers run with float16 parameters, with and without ``use_fp32_update``.  RMSprop
#: refuses its default eps in float16, and AdaGrad would divide 0 by 0 with its own.
FLOAT16: dict[str, tuple[str, dict]] = {
    "SGD": ("SGD", {}),
    "MomentumSGD": ("MomentumSGD", {}),
    "Adam": ("Adam", {}),
    "AMSGrad": ("AMSGrad", {"alpha": 0.01}),
    "AdaBound": ("AdaBound", {"alpha": 0.01, "gamma": 0.05}),
    "AdamW": ("AdamW", {"alpha": 0.01, "weight_decay_rate": 0.05}),
    "CorrectedMomentumSGD": ("CorrectedMomentumSGD", {}),
    "NesterovAG": ("NesterovAG", {}),
    "AdaGrad": ("AdaGrad", {"lr": 0.05, "eps": 1e-4}),
    "RMSprop": ("RMSprop", {"eps": 1e-4}),
}

#: Optimizers run with float16 parameters through ``optimizer.update(lossfun)`` with a loss scale:
#: those above, and the others with an eps that float16 can hold.
LOSS_SCALED: dict[str, tuple[str, dict]] = {
    **FLOAT16,
    "AMSBound": ("AMSBound", {"alpha": 0.01, "gamma": 0.05}),
    "AdaDelta": ("AdaDelta", {"eps": 1e-4}),
    "RMSpropGraves": ("RMSpropGraves", {"eps": 1e-3}),
    "SMORMS3": ("SMORMS3", {"lr": 0.05, "eps": 1e-3}),
    "MSVAG": ("MSVAG", {"lr": 0.05, "beta": 0.8}),
}
#: name -> arguments of ``optimizer.loss_scaling``
LOSS_SCALES: dict[str, dict] = {"static": {"scale": 128.0}, "dynamic": {"interval": 20}}
STEPS_LOSS_SCALED = (1, 10, 100)

#: Cases of OPTIMIZERS of which Chainer saved the optimizer after SNAPSHOT_STEP steps in float32, as
#: ``snapshots/rules/<class>_<variant>.npz``; what followed stands in ``optimizers.npz``.
SNAPSHOT_STEP = 2
SNAPSHOT_RULES = (
    *("SGD/tuned", "MomentumSGD/tuned", "CorrectedMomentumSGD/tuned", "NesterovAG/tuned"),
    *("Adam/plain", "Adam/amsgrad", "Adam/adabound", "Adam/amsbound_weight_decay_rate"),
    *("AdamW/tuned", "AMSGrad/tuned", "AdaBound/tuned", "AMSBound/tuned"),
    *("AdaGrad/tuned", "AdaDelta/tuned", "RMSprop/tuned", "RMSpropGraves/tuned"),
    *("SMORMS3/tuned", "MSVAG/tuned"),
)

#: Optimizers run through every scenario below, and the name of their learning rate.
SCENARIO_OPTIMIZERS: dict[str, tuple[str, dict, str]] = {
    "SGD": ("SGD", {"lr": 0.05}, "lr"),
    "MomentumSGD": ("MomentumSGD", {"lr": 0.05}, "lr"),
    "Adam": ("Adam", {"alpha": 0.01}, "alpha"),
    "AdamW": ("AdamW", {"alpha": 0.01, "weight_decay_rate": 0.05}, "alpha"),
    "AMSBound": ("AMSBound", {"alpha": 0.01, "final_lr": 0.02, "gamma": 0.05}, "alpha"),
    "NesterovAG": ("NesterovAG", {"lr": 0.05}, "lr"),
    "RMSprop": ("RMSprop", {"lr": 0.005}, "lr"),
}

#: Per-parameter scenarios; ``lr`` stands for the optimizer's own learning rate.
SCENARIOS: dict[str, str] = {
    "override": "before step 1: p0.update_rule.hyperparam.lr = 10 * lr",
    "override_then_decay": "as override; before every step from 2 on: optimizer.lr *= 0.9",
    "decay": "before every step from 2 on: optimizer.lr *= 0.9",
    "disabled": "before step 1: p1.update_rule.enabled = False",
    "override_disabled": "override and disabled together",
    "paused": "p1.update_rule.enabled = False during steps 3 to 6",
    "no_gradient": "p1.cleargrad() instead of a gradient in steps 3 to 6",
}

#: case -> (hooks as (class name, arguments), on 'optimizer' or on 'rule' (of p0 only))
HOOKS: dict[str, tuple[list[tuple[str, tuple]], str]] = {}
for _name, _args in (
    ("WeightDecay", (0.1,)),
    ("Lasso", (0.1,)),
    ("GradientHardClipping", (-0.5, 0.75)),
    ("GradientLARS", ()),
    ("GradientNoise", (0.3,)),
):
    HOOKS[f"{_name}/optimizer"] = ([(_name, _args)], "optimizer")
    HOOKS[f"{_name}/rule"] = ([(_name, _args)], "rule")
HOOKS.update(
    {
        "GradientClipping/optimizer": ([("GradientClipping", (1.0,))], "optimizer"),
        "GradientClipping/inactive": ([("GradientClipping", (1000.0,))], "optimizer"),
        "GradientLARS/weight_decay": ([("GradientLARS", (0.01, 0.1, 1e-6))], "optimizer"),
        "GradientLARS/below_threshold": ([("GradientLARS", (100.0, 0.1))], "optimizer"),
        "WeightDecay+GradientClipping/optimizer": (
            [("WeightDecay", (0.1,)), ("GradientClipping", (1.0,))],
            "optimizer",
        ),
        "GradientClipping+WeightDecay/optimizer": (
            [("GradientClipping", (1.0,)), ("WeightDecay", (0.1,))],
            "optimizer",
        ),
        "WeightDecay+Lasso/rule": ([("WeightDecay", (0.1,)), ("Lasso", (0.1,))], "rule"),
    }
)
HOOK_OPTIMIZERS: dict[str, dict] = {"SGD": {"lr": 0.05}, "Adam": {"alpha": 0.01}}
#: ``numpy.random.seed`` called right before the first step of every hook case.
HOOK_SEED = 0


def load(name: str) -> dict[str, np.ndarray]:
    """All arrays of one golden file, for example ``load('optimizers')``."""
    with np.load(HERE / f"{name}.npz") as archive:
        return {key: archive[key] for key in archive.files}
