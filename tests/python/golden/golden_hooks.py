"""Optimizer hooks: parameters and processed gradients over 20 steps -> ``hooks.npz``."""

import chainer.functions as F
import golden_cases as cases
import numpy as np
from chainer import optimizer_hooks, optimizers
from golden_optimizers import TwoParameters

LOSS_SCALE = 128.0


def attach(hooks, place, optimizer, target):
    """Adds the hooks in order to the optimizer, or to the rule of p0 alone."""
    owner = optimizer if place == "optimizer" else target.p0.update_rule
    for class_name, args in hooks:
        owner.add_hook(getattr(optimizer_hooks, class_name)(*args))


def run(out, prefix, optimizer, target, dtype):
    """Trains on the seeded gradients; records values and the gradients the rules saw."""
    np.random.seed(cases.HOOK_SEED)
    for step, grads in enumerate(cases.gradients(dtype, max(cases.STEPS_HOOKS)), start=1):
        for name, grad in grads.items():
            getattr(target, name).grad = grad
        optimizer.update()
        if step in cases.STEPS_HOOKS:
            for name in cases.SHAPES:
                param = getattr(target, name)
                out[f"{prefix}/step{step}/{name}"] = param.array.copy()
                out[f"{prefix}/step{step}/grad/{name}"] = param.grad.copy()


def loss_scaled(out, prefix, optimizer, target, dtype):
    """The same through ``optimizer.update(lossfun)`` with a static loss scale."""
    optimizer.loss_scaling(scale=LOSS_SCALE)
    for step, grads in enumerate(cases.gradients(dtype, max(cases.STEPS_HOOKS)), start=1):

        def lossfun(grads=grads):
            return F.sum(target.p0 * grads["p0"]) + F.sum(target.p1 * grads["p1"])

        optimizer.update(lossfun)
        if step in cases.STEPS_HOOKS:
            for name in cases.SHAPES:
                out[f"{prefix}/step{step}/{name}"] = getattr(target, name).array.copy()


def make():
    """All arrays of ``hooks.npz``."""
    out = {"loss_scale": np.float64(LOSS_SCALE)}
    for dtype in ("float32", "float64"):
        for case, (hooks, place) in cases.HOOKS.items():
            for optimizer_name, kwargs in cases.HOOK_OPTIMIZERS.items():
                target = TwoParameters(dtype)
                optimizer = getattr(optimizers, optimizer_name)(**kwargs).setup(target)
                attach(hooks, place, optimizer, target)
                run(out, f"{case}/{optimizer_name}/{dtype}", optimizer, target, dtype)

    scaled = {"none": ([], "optimizer")}
    for case in ("WeightDecay/optimizer", "WeightDecay/rule", "GradientClipping/optimizer"):
        scaled[case] = cases.HOOKS[case]
    for case, (hooks, place) in scaled.items():
        for optimizer_name, kwargs in cases.HOOK_OPTIMIZERS.items():
            target = TwoParameters("float32")
            optimizer = getattr(optimizers, optimizer_name)(**kwargs).setup(target)
            attach(hooks, place, optimizer, target)
            loss_scaled(out, f"loss_scaled/{case}/{optimizer_name}", optimizer, target, "float32")
    return out
