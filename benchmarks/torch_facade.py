"""Steps through chainrule.torch: what it adds to the table, and against PyTorch's fused Adam.

The bare table is the native update of the same parameters with their gradients in place. What a
step adds to it is measured with small tensors, as many as ResNet-50 has too: the time that 25
million floats take varies by more than that.
"""

from __future__ import annotations

import gc
import statistics
import time

import chainrule.torch
import common
import torch
from chainrule import optimizers
from shapes import resnet50

SMALL = [(256,)] * 2000
#: A set like that of ResNet-50: convolutions, batch norms, one matrix; 25.6 million floats.
RESNET = resnet50()


def parameters(shapes, device="cpu"):
    torch.manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(shape, device=device)) for shape in shapes]
    for param in params:
        param.grad = torch.randn_like(param)
    return params


def ours(shapes, own_rates: bool = False, device="cpu"):
    """An attached optimizer, after two steps."""
    optimizer = chainrule.torch.attach(parameters(shapes, device), optimizers.Adam(alpha=1e-4))
    for i, rule in enumerate(optimizer.rules if own_rates else ()):
        rule.hyperparam.alpha = 1e-4 * (1 + i / len(shapes))
    optimizer.step()
    optimizer.step()
    return optimizer


def theirs(shapes, own_rates: bool = False, device="cpu", how="fused"):
    """PyTorch's Adam, with as many groups as there are rates."""
    params = parameters(shapes, device)
    if not own_rates:
        return torch.optim.Adam(params, lr=1e-4, **{how: True})
    groups = [{"params": [p], "lr": 1e-4 * (1 + i / len(params))} for i, p in enumerate(params)]
    return torch.optim.Adam(groups, **{how: True})


def overhead(name: str, shapes) -> None:
    """Print what a step costs beyond its bare table: the median of differences, taken in turns."""
    optimizer = ours(shapes, own_rates=True)
    tensors, table = optimizer._tensors, optimizer.native._table

    def bare() -> float:
        tensors.begin(False)
        try:
            table.step_and_count(1.0)
            start = time.perf_counter()
            table.step_and_count(1.0)
            return time.perf_counter() - start
        finally:
            tensors.end()

    def step() -> float:
        optimizer.step()
        start = time.perf_counter()
        optimizer.step()
        return time.perf_counter() - start

    gc.collect()
    gc.disable()
    pairs = [(bare(), step()) for _ in range(300)]
    gc.enable()
    table_time, step_time = (1e6 * statistics.median(times) for times in zip(*pairs, strict=True))
    added = 1e6 * statistics.median(step - table for table, step in pairs)
    reach = 60 + 0.15 * len(shapes)
    verdict = "reached" if added <= reach else "MISSED"
    print(
        f"\nA step of {len(shapes)} parameters ({name}), {common.thread_count()} thread(s)\n"
        f"  through the facade {step_time:.1f} us, bare table {table_time:.1f} us: "
        f"{added:.1f} us more (to reach: {reach:.1f}, {verdict})",
        flush=True,
    )
    common.results.append(
        {
            "title": f"facade beside the table, {name}",
            "threads": common.thread_count(),
            "reach": reach * 1e-6,
            "seconds": {"facade": step_time * 1e-6, "table": table_time * 1e-6},
            "beyond": added * 1e-6,
        }
    )


def benchmark():
    overhead("small", SMALL)
    overhead("small, as many as ResNet-50 has", SMALL[: len(RESNET)])
    overhead("one", SMALL[:1])
    for name, shapes, reach in (("2,000 small tensors", SMALL, 1 / 40), ("ResNet-50", RESNET, 0.5)):
        common.compare(
            f"Adam, {name}, each with its own rate",
            {
                "chainrule.torch": ours(shapes, own_rates=True).step,
                "PyTorch, a group each, fused": theirs(shapes, own_rates=True).step,
            },
            reach=reach,
            seconds=2,
        )
        common.compare(
            f"Adam, {name}, one set of values",
            {"chainrule.torch": ours(shapes).step, "PyTorch, fused": theirs(shapes).step},
            reach=1,
            seconds=2,
        )


if __name__ == "__main__":
    common.main(benchmark, __doc__)
