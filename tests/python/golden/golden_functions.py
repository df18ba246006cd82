"""Functions: values, gradients and some second gradients -> ``functions.npz``.

All inputs are under ``in/<name>``, floats as float64 (cast them to the case's dtype).  A
case ``c`` in one dtype has its outputs ``c/dtype/y`` (``y0``, ``y1``, ... where there are
several), the gradients fed to the outputs ``gy`` (``gy0``, ...) and the input gradients
``grad/<name>``.  Where a second gradient is recorded, ``ggx/<name>``
multiplies ``grad/<name>``; the sum of these products, differentiated, is
``grad2/<name>`` (and ``grad2/gy``, for the first output).
"""

import chainer
import chainer.functions as F
import golden_cases as cases
import golden_function_cases as function_cases
import numpy as np


class Inputs(dict):
    """The inputs of one case as Variables of one dtype, made when they are asked for."""

    def __init__(self, arrays, dtype):
        super().__init__()
        self.arrays = arrays
        self.dtype = dtype

    def __missing__(self, name):
        value = self.arrays[name]
        if value.dtype == np.float64:
            value = value.astype(self.dtype)
        self[name] = chainer.Variable(value)
        return self[name]


def record_second_gradients(out, prefix, floats, grads, gys, rng):
    """Differentiates sum(grad * ggx) once more."""
    total = 0
    for name, grad in zip(floats, grads, strict=True):
        ggx = np.asarray(cases.draw(rng, grad.shape, grad.dtype))
        out[f"{prefix}/ggx/{name}"] = ggx
        total = total + F.sum(grad * ggx)
    seconds = chainer.grad([total], [*floats.values(), gys[0]])
    for name, second in zip([*floats, "gy"], seconds, strict=True):
        if second is not None:
            out[f"{prefix}/grad2/{name}"] = second.array


def record(out, case, call, inputs):
    """Runs one case on one dtype and records all that came of it."""
    prefix = f"{case}/{inputs.dtype}"
    rng = np.random.RandomState(4)
    np.random.seed(function_cases.SEED)
    outputs = call(inputs)
    single = isinstance(outputs, chainer.Variable)
    outputs = [outputs] if single else list(outputs)
    for name in inputs:
        out[f"in/{name}"] = inputs.arrays[name]

    gys = []
    for index, y in enumerate(outputs):
        tail = "" if single else str(index)
        out[f"{prefix}/y{tail}"] = y.array.copy()
        if y.dtype.kind == "f":
            gys.append(chainer.Variable(np.asarray(cases.draw(rng, y.shape, y.dtype))))
            out[f"{prefix}/gy{tail}"] = gys[-1].array
    floats = {
        name: variable
        for name, variable in inputs.items()
        if variable.dtype.kind == "f" and name not in function_cases.CONSTANT
    }
    if not gys or not floats:
        return

    function = case.split("/")[0]
    twice = inputs.dtype == "float64" and (
        function in function_cases.TWICE or case.endswith("_double_backprop")
    )
    grads = chainer.grad(outputs, list(floats.values()), gys, enable_double_backprop=twice)
    pairs = [(name, grad) for name, grad in zip(floats, grads, strict=True) if grad is not None]
    for name, grad in pairs:
        out[f"{prefix}/grad/{name}"] = grad.array.copy()
    if twice and any(grad.creator_node is not None for _, grad in pairs):
        kept = {name: floats[name] for name, _ in pairs}
        record_second_gradients(out, prefix, kept, [grad for _, grad in pairs], gys, rng)


def make():
    """All arrays of ``functions.npz``."""
    out = {}
    arrays = function_cases.arrays()
    for case, call in function_cases.build(F).items():
        for dtype in ("float32", "float64"):
            record(out, case, call, Inputs(arrays, dtype))
    return out
