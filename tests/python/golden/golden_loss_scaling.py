"""float16 parameters and loss scaling over 100 steps -> ``loss_scaling.npz``."""

import chainer.functions as F
import golden_cases as cases
import numpy as np
from chainer import optimizers
from golden_optimizers import TwoParameters


def run(out, prefix, optimizer, target):
    """Trains through ``update(lossfun)``; records parameters, counts and the loss scale."""
    scales, values, counts = [], [], []
    last = max(cases.STEPS_LOSS_SCALED)
    for step, grads in enumerate(cases.gradients("float16", last), start=1):

        def lossfun(grads=grads):
            return F.sum(target.p0 * grads["p0"]) + F.sum(target.p1 * grads["p1"])

        optimizer.update(lossfun)
        scales.append(optimizer._loss_scale)
        if step in cases.STEPS_LOSS_SCALED:
            params = [getattr(target, name) for name in cases.SHAPES]
            values.append(np.concatenate([p.array.ravel() for p in params]))
            counts.append([p.update_rule.t for p in params])
    out[f"{prefix}/params"] = np.array(values)
    out[f"{prefix}/t"] = np.array(counts)
    out[f"{prefix}/scales"] = np.array(scales)


def make():
    """All arrays of ``loss_scaling.npz``."""
    out = {}
    for case, (class_name, kwargs) in cases.LOSS_SCALED.items():
        for fp32_update in (False, True):
            for scaling, arguments in cases.LOSS_SCALES.items():
                target = TwoParameters("float16")
                optimizer = getattr(optimizers, class_name)(**kwargs)
                if fp32_update:
                    optimizer.use_fp32_update()
                optimizer.setup(target)
                optimizer.loss_scaling(**arguments)
                way = "fp32_update" if fp32_update else "float16"
                run(out, f"{case}/{way}/{scaling}", optimizer, target)
    return out
