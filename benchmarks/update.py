"""Updates: many small tensors with rates of their own, and one large tensor at memory speed.

The floor is the same update as a loop in C (`floor.c`), compiled here with OpenMP for this
machine.
"""

from __future__ import annotations

import ctypes
import pathlib
import subprocess
import tempfile

import common
import numpy as np
import torch

import chainrule
from chainrule import optimizer_hooks, optimizers

MANY, SMALL = 2000, 256
LARGE = 25_000_000
RNG = np.random.default_rng(0)


def build_floor() -> ctypes.CDLL:
    """Compile the C loops."""
    folder = tempfile.mkdtemp()
    library = pathlib.Path(folder) / "floor.so"
    source = pathlib.Path(__file__).with_name("floor.c")
    command = ["cc", "-O3", "-march=native", "-fno-math-errno", "-fopenmp", "-shared", "-fPIC"]
    subprocess.run([*command, source, "-o", library, "-lm"], check=True)
    return ctypes.CDLL(str(library))


FLOOR = build_floor()


def values(count: int) -> np.ndarray:
    return RNG.standard_normal(count, dtype=np.float32)


def ours(name: str, count: int, size: int, own_rates: bool, hook=None):
    """A step over `count` tensors of `size` elements."""
    link = chainrule.Link()
    with link.init_scope():
        for i in range(count):
            setattr(link, f"p{i:04}", chainrule.Parameter(values(size)))
    optimizer = getattr(optimizers, name)().setup(link)
    if hook is not None:
        optimizer.add_hook(hook)
    rate = "alpha" if name == "Adam" else "lr"
    for i, param in enumerate(link.params()):
        param.grad = values(size)
        if own_rates:
            setattr(param.update_rule.hyperparam, rate, 1e-6 * (1 + i / count))
    return optimizer.update


def theirs(name: str, count: int, size: int, own_rates: bool, fused: bool):
    params = [torch.from_numpy(values(size)).requires_grad_() for _ in range(count)]
    for param in params:
        param.grad = torch.from_numpy(values(size))
    groups = [{"params": [p], "lr": 1e-6 * (1 + i / count)} for i, p in enumerate(params)]
    cls = getattr(torch.optim, name)
    return cls(groups if own_rates else params, lr=1e-6, fused=fused).step


def floor(name: str, size: int):
    arrays = [np.abs(values(size)) for _ in range(4 if name == "Adam" else 2)]
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in arrays]
    n, f = ctypes.c_long(size), ctypes.c_float
    if name == "Adam":
        step = lambda: FLOOR.adam(*pointers, n, f(1e-6), f(0.1), f(0.001), f(1e-8))  # noqa: E731
    else:
        step = lambda: FLOOR.sgd(*pointers, n, f(1e-6))  # noqa: E731
    step.keep = arrays
    return step


def benchmark() -> None:
    common.compare(
        f"Adam, {MANY} tensors of {SMALL}, each with its own rate",
        {
            "chainrule": ours("Adam", MANY, SMALL, True),
            "PyTorch, a group per tensor": theirs("Adam", MANY, SMALL, True, False),
            "PyTorch fused, a group per tensor": theirs("Adam", MANY, SMALL, True, True),
        },
        reach=1 / 40,
    )
    common.compare(
        f"Adam, {MANY} tensors of {SMALL}, each with its own rate",
        {
            "chainrule": ours("Adam", MANY, SMALL, True),
            "chainrule, one flat tensor": ours("Adam", 1, MANY * SMALL, False),
        },
        reach=3,
    )
    for name in ("SGD", "Adam"):
        common.compare(
            f"{name}, one tensor of {LARGE / 1e6:.0f}M",
            {
                "chainrule": ours(name, 1, LARGE, False),
                "a loop in C": floor(name, LARGE),
                "PyTorch fused": theirs(name, 1, LARGE, False, True),
            },
            reach=1.1,
        )
        plain = ours(name, 1, LARGE, False)
        for hook, reach in (
            (optimizer_hooks.WeightDecay(1e-4), 1.03),
            (optimizer_hooks.Lasso(1e-4), 1.03),
            (optimizer_hooks.GradientHardClipping(-1, 1), 1.03),
            (optimizer_hooks.GradientClipping(1), None),
        ):
            common.compare(
                f"{name} with {hook.name}, one tensor of {LARGE / 1e6:.0f}M",
                {hook.name: ours(name, 1, LARGE, False, hook), "without": plain},
                reach=reach,
            )
    common.compare(
        "SGD, 4 tensors of a few elements",
        {"chainrule": ours("SGD", 4, 3, False), "PyTorch": theirs("SGD", 4, 3, False, False)},
    )


if __name__ == "__main__":
    common.main(benchmark, __doc__)
