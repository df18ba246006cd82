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


def ours(optimizer, count: int, size: int, own_rates: bool = False, scheduled: bool = False):
    """Update `count` parameters of `size` floats, each with a rate of its own if asked for."""
    link = chainrule.ChainList(*(chainrule.Link(w=(size,)) for _ in range(count)))
    optimizer.setup(link)
    for i, param in enumerate(link.params()):
        param.array[...] = 0
        param.grad = gradient(size)
        if own_rates:
            param.update_rule.hyperparam.alpha = 1e-3 * (1 + i / count)
        if scheduled:
            rate = warmup(500 + i) * cosine(1e-3 * (1 + i / count), 0.0, 100_000)
            param.update_rule.hyperparam.alpha = rate
    return optimizer.update


def theirs(make, count: int, size: int, **options):
    """Update the same with PyTorch, one group per tensor where there are several."""
    params = [torch.zeros(size, requires_grad=True) for _ in range(count)]
    for param in params:
        param.grad = torch.from_numpy(gradient(size))
    groups = [{"params": [p], "lr": 1e-3 * (1 + i / count)} for i, p in enumerate(params)]
    return make(groups, **options).step


def c_sgd(library: ctypes.CDLL):
    p, g = torch.zeros(LARGE), torch.from_numpy(gradient(LARGE))
    pointers = [ctypes.c_void_p(x.data_ptr()) for x in (p, g)]
    return lambda: (library.sgd(*pointers, ctypes.c_long(LARGE), ctypes.c_float(1e-3)), p, g)[0]


def c_adam(library: ctypes.CDLL):
    arrays = [torch.zeros(LARGE) for _ in range(4)]
    arrays[1].copy_(torch.from_numpy(gradient(LARGE)))
    pointers = [ctypes.c_void_p(x.data_ptr()) for x in arrays]
    n, rate = ctypes.c_long(LARGE), ctypes.c_float(1e-3)
    return lambda: (library.adam(*pointers, n, rate), arrays)[0]


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
    library = compiled()
    library.omp_set_num_threads(common.thread_count())
    common.compare(
        "Adam, one tensor of 25 million floats",
        {
            "chainrule": ours(optimizers.Adam(), 1, LARGE),
            "loop in C": c_adam(library),
            "PyTorch, fused": theirs(torch.optim.Adam, 1, LARGE, fused=True),
        },
        reach=1.1,
        seconds=3,
    )
    common.compare(
        "SGD, one tensor of 25 million floats",
        {
            "chainrule": ours(optimizers.SGD(), 1, LARGE),
            "loop in C": c_sgd(library),
            "PyTorch, fused": theirs(torch.optim.SGD, 1, LARGE, fused=True),
        },
        reach=1.1,
        seconds=3,
    )


if __name__ == "__main__":
    common.main(benchmark, __doc__)
