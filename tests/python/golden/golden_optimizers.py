"""Optimizers: parameters and states after 1, 2, 10 and 100 steps -> ``optimizers.npz``."""

import chainer
import golden_cases as cases
import numpy as np
from chainer import optimizers


class TwoParameters(chainer.Link):
    """The smallest target an optimizer can have: ``/p0`` and ``/p1``."""

    def __init__(self, dtype):
        super().__init__()
        with self.init_scope():
            for name, value in cases.start(dtype).items():
                setattr(self, name, chainer.Parameter(value))


def record(out, prefix, target):
    """Parameters, counters and every state array of every rule, as they are now."""
    rules = [getattr(target, name).update_rule for name in cases.SHAPES]
    out[f"{prefix}/t"] = np.array([rule.t for rule in rules])
    for name, rule in zip(cases.SHAPES, rules, strict=True):
        param = getattr(target, name)
        out[f"{prefix}/{name}"] = param.array.copy()
        for state_name, value in (rule.state or {}).items():
            out[f"{prefix}/state/{name}/{state_name}"] = np.array(value)


def train(out, prefix, optimizer, target, dtype, steps, before_step=None):
    """Feeds the seeded gradients to ``optimizer.update()`` and records at ``steps``."""
    for step, grads in enumerate(cases.gradients(dtype, max(steps)), start=1):
        for name, grad in grads.items():
            getattr(target, name).grad = grad
        if before_step is not None:
            before_step(step)
        optimizer.update()
        if step in steps:
            record(out, f"{prefix}/step{step}", target)


def scenario_hook(scenario, optimizer, target, rate):
    """The function that acts out one of ``cases.SCENARIOS`` before each step."""

    def before_step(step):
        if step == 1 and scenario.startswith("override"):
            setattr(target.p0.update_rule.hyperparam, rate, 10 * getattr(optimizer, rate))
        if step == 1 and scenario.endswith("disabled"):
            target.p1.update_rule.enabled = False
        if step >= 2 and scenario.endswith("decay"):
            setattr(optimizer, rate, getattr(optimizer, rate) * 0.9)
        if scenario == "paused":
            target.p1.update_rule.enabled = not 3 <= step <= 6
        if scenario == "no_gradient" and 3 <= step <= 6:
            target.p1.cleargrad()

    return before_step


def make():
    """All arrays of ``optimizers.npz``."""
    out = {}
    for dtype in ("float16", "float32", "float64"):
        for name, value in cases.start(dtype).items():
            out[f"start/{dtype}/{name}"] = value
        for step, grads in enumerate(cases.gradients(dtype, 2), start=1):
            for name, value in grads.items():
                out[f"gradients/{dtype}/step{step}/{name}"] = value

    for case, (class_name, kwargs) in cases.OPTIMIZERS.items():
        for dtype in ("float32", "float64"):
            target = TwoParameters(dtype)
            optimizer = getattr(optimizers, class_name)(**kwargs).setup(target)
            train(out, f"{case}/{dtype}", optimizer, target, dtype, cases.STEPS)

    for case, (class_name, kwargs) in cases.FLOAT16.items():
        for fp32_update in (False, True):
            target = TwoParameters("float16")
            optimizer = getattr(optimizers, class_name)(**kwargs)
            if fp32_update:
                optimizer.use_fp32_update()
            optimizer.setup(target)
            prefix = f"{case}/float16_fp32_update" if fp32_update else f"{case}/float16"
            train(out, prefix, optimizer, target, "float16", cases.STEPS_FLOAT16)

    for case, (class_name, kwargs, rate) in cases.SCENARIO_OPTIMIZERS.items():
        for scenario in cases.SCENARIOS:
            target = TwoParameters("float32")
            optimizer = getattr(optimizers, class_name)(**kwargs).setup(target)
            before_step = scenario_hook(scenario, optimizer, target, rate)
            prefix = f"scenario/{scenario}/{case}"
            train(out, prefix, optimizer, target, "float32", cases.STEPS_SCENARIOS, before_step)
    return out
