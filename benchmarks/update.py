"""Updates: many small tensors with rates of their own, one large tensor; against PyTorch and C.

The loop in C does the same arithmetic over the same memory and nothing else: memory is its limit.
"""

from __future__ import annotations

import ctypes
import pathlib
import subprocess
import tempfile

import numpy as np

import chainrule
import common
import torch
from chainrule import optimizers
from chainrule.schedules import cosine, warmup

SMALL = (2000, 256)
LARGE = 25_000_000

C_LOOPS = r"""
#include <math.h>

void sgd(float* p, const float* g, long n, float lr) {
#pragma omp parallel for simd
  for (long i = 0; i < n; ++i) p[i] -= lr * g[i];
}

void adam(float* p, const float* g, float* m, float* v, long n, float alpha_t) {
#pragma omp parallel for simd
  for (long i = 0; i < n; ++i) {
    m[i] += 0.1f * (g[i] - m[i]);
    v[i] += 0.001f * (g[i] * g[i] - v[i]);
    p[i] -= alpha_t * m[i] / (sqrtf(v[i]) + 1e-8f);
  }
}
"""


def compiled() -> ctypes.CDLL:
    """Compile the loops for this machine."""
    folder = pathlib.Path(tempfile.mkdtemp())
    source, library = folder / "loops.c", folder / "loops.so"
    source.write_text(C_LOOPS)
    flags = ["-O3", "-march=native", "-fno-math-errno", "-fopenmp", "-shared", "-fPIC"]
    subprocess.run(["cc", *flags, source, "-o", library, "-lm"], check=True)
    return ctypes.CDLL(str(library))


def gradient(shape: int | tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def model(optimizer, count: int, size: int, own_rates: bool = False, scheduled: bool = False):
    """Make an update of `count` parameters of `size` floats, and give both.

    Each has a rate or a schedule of its own if asked for.
    """
    link = chainrule.ChainList(*(chainrule.Link(w=(size,)) for _ in range(count)))
    optimizer.setup(link)
    params = list(link.params())
    for i, param in enumerate(params):
        param.array[...] = 0
        param.grad = gradient(size)
        if own_rates:
            param.update_rule.hyperparam.alpha = 1e-3 * (1 + i / count)
        if scheduled:
            rate = warmup(500 + i) * cosine(1e-3 * (1 + i / count), 0.0, 100_000)
            param.update_rule.hyperparam.alpha = rate
    return optimizer.update, params


def ours(optimizer, count: int, size: int, **options: bool):
    return model(optimizer, count, size, **options)[0]


def theirs(make, count: int, size: int, **options):
    """Update the same with PyTorch, one group per tensor where there are several."""
    params = [torch.zeros(size, requires_grad=True) for _ in range(count)]
    for param in params:
        param.grad = torch.from_numpy(gradient(size))
    groups = [{"params": [p], "lr": 1e-3 * (1 + i / count)} for i, p in enumerate(params)]
    return make(groups, **options).step


def in_c(library: ctypes.CDLL, param: chainrule.Parameter):
    """Do what a parameter's rule does, in its own memory, by a loop in C.

    Where arrays lie makes a difference of a tenth, which is nobody's merit.
    """
    states = param.update_rule.state or {}
    arrays = [param.array, param.grad, *(states[name] for name in ("m", "v") if name in states)]
    pointers = [ctypes.c_void_p(np.asarray(x).ctypes.data) for x in arrays]
    n, rate = ctypes.c_long(param.size), ctypes.c_float(1e-3)
    loop = library.adam if states else library.sgd
    return lambda: (loop(*pointers, n, rate), arrays)[0]


def compare_large(name: str, optimizer, theirs_make) -> None:
    """Compare steps of one large tensor with a loop in C over the same arrays, and with PyTorch."""
    library = compiled()
    library.omp_set_num_threads(common.thread_count())
    step, params = model(optimizer, 1, LARGE)
    step()
    common.compare(
        f"{name}, one tensor of 25 million floats",
        {
            "chainrule": step,
            "loop in C, the same arrays": in_c(library, params[0]),
            "PyTorch, fused": theirs(theirs_make, 1, LARGE, fused=True),
        },
        reach=1.1,
        seconds=3,
    )


def benchmark():
    common.compare(
        "Adam, 2,000 tensors of 256 floats, each with its own rate",
        {
            "chainrule": ours(optimizers.Adam(), *SMALL, own_rates=True),
            "PyTorch, a group each": theirs(torch.optim.Adam, *SMALL),
            "PyTorch, a group each, fused": theirs(torch.optim.Adam, *SMALL, fused=True),
        },
        reach=1 / 40,
        seconds=3,
    )
    common.compare(
        "the same against one tensor of as many floats",
        {
            "chainrule, 2,000 tensors": ours(optimizers.Adam(), *SMALL, own_rates=True),
            "chainrule, one tensor": ours(optimizers.Adam(), 1, SMALL[0] * SMALL[1]),
        },
        reach=3,
    )
    common.compare(
        "the same with a schedule each, against a rate each",
        {
            "chainrule, schedules": ours(optimizers.Adam(), *SMALL, scheduled=True),
            "chainrule, rates": ours(optimizers.Adam(), *SMALL, own_rates=True),
        },
        reach=2,
    )
    compare_large("Adam", optimizers.Adam(), torch.optim.Adam)
    compare_large("SGD", optimizers.SGD(), torch.optim.SGD)


if __name__ == "__main__":
    common.main(benchmark, __doc__)
