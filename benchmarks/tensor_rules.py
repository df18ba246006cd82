"""Rules for whole tensors and hooks on weights, against PyTorch and pytorch-optimizer.

PyTorch's Muon iterates in bfloat16, and the second line makes it use float32, as ours does by
default; the last line is ours in bfloat16, where the processor has instructions for that.
"""

from __future__ import annotations

import chainrule
import common
import torch
from chainrule import optimizer_hooks, optimizers
from update import gradient

MATRICES = [(768, 768)] * 8 + [(3072, 768)] * 2 + [(768, 3072)] * 2
SMALL = [(64, 64)] * 200
LARGE = [(4096, 1024)] * 4


def ours(optimizer, shapes, hook=None):
    link = chainrule.ChainList(*(chainrule.Link(w=shape) for shape in shapes))
    optimizer.setup(link)
    if hook is not None:
        optimizer.add_hook(hook)
    for param in link.params():
        param.array[...] = 0.01
        param.grad = gradient(param.shape)
    return optimizer.update


def theirs(make, shapes, **options):
    params = [torch.full(shape, 0.01, requires_grad=True) for shape in shapes]
    for param in params:
        param.grad = torch.from_numpy(gradient(tuple(param.shape)))
    return make(params, **options).step


def in_float32(step):
    """A step of PyTorch's Muon that iterates in float32."""
    narrow = torch.Tensor.bfloat16

    def run():
        torch.Tensor.bfloat16 = torch.Tensor.clone
        try:
            step()
        finally:
            torch.Tensor.bfloat16 = narrow

    return run


def averaged(shapes):
    holder = torch.nn.ParameterList([torch.full(shape, 0.01) for shape in shapes])
    average = torch.optim.swa_utils.AveragedModel(
        holder, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.999)
    )
    step = theirs(torch.optim.SGD, shapes, lr=1e-3, fused=True)
    return lambda: (step(), average.update_parameters(holder))


def benchmark():
    for title, shapes in (
        ("8 matrices 768 x 768, 4 of 3072 x 768", MATRICES),
        ("200 matrices 64 x 64", SMALL),
    ):
        muon = theirs(torch.optim.Muon, shapes, lr=0.02)
        common.compare(
            f"Muon, {title}",
            {
                "chainrule": ours(optimizers.Muon(), shapes),
                "PyTorch, in float32": in_float32(muon),
                "PyTorch, in bfloat16": muon,
                "chainrule, in bfloat16": ours(optimizers.Muon(ns_bfloat16=True), shapes),
            },
            reach=1,
        )
    common.compare(
        "Adafactor, 4 matrices 4096 x 1024",
        {
            "chainrule": ours(optimizers.Adafactor(), LARGE),
            "PyTorch": theirs(torch.optim.Adafactor, LARGE),
        },
        reach=1,
    )
    common.compare(
        "SGD with an average of weights, 4 matrices 4096 x 1024",
        {
            "chainrule": ours(optimizers.SGD(), LARGE, optimizer_hooks.EMA()),
            "PyTorch, fused": averaged(LARGE),
            "chainrule, without": ours(optimizers.SGD(), LARGE),
        },
        reach=1,
    )
    common.compare(
        "Adam, cautious, 4 matrices 4096 x 1024",
        {
            "chainrule": ours(optimizers.Adam(), LARGE, optimizer_hooks.Cautious()),
            "chainrule, without": ours(optimizers.Adam(), LARGE),
        },
    )


if __name__ == "__main__":
    common.main(benchmark, __doc__)
