"""A step of chainrule.torch on a GPU, against PyTorch's fused and foreach Adam.

Many steps are begun, and then the GPU is waited for: what is timed is what a training loop sees of
a step, whichever of host and GPU takes longer. With many rates a step that is waited for is timed
as well.
"""

from __future__ import annotations

import sys

import common
import torch
from torch_facade import RESNET, SMALL, ours, theirs

ONE = [(25_000_000,)]
SETS = (
    ("2,000 small tensors, one set of values", SMALL, False),
    ("2,000 small tensors, each with its own rate", SMALL, True),
    ("ResNet-50, one set of values", RESNET, False),
    ("ResNet-50, each with its own rate", RESNET, True),
    ("one tensor of 25 million", ONE, False),
)


def benchmark():
    print(torch.cuda.get_device_name())
    for name, shapes, own_rates in SETS:
        groups = "a group each, " if own_rates else ""
        steps = {
            "chainrule.torch": ours(shapes, own_rates, "cuda").step,
            f"PyTorch, {groups}fused": theirs(shapes, own_rates, "cuda").step,
            f"PyTorch, {groups}foreach": theirs(shapes, own_rates, "cuda", "foreach").step,
        }
        if own_rates:
            steps["PyTorch, one group, fused"] = theirs(shapes, False, "cuda").step
        common.compare(f"Adam, {name}", steps, settle=torch.cuda.synchronize)
        if not own_rates:
            continue
        first = dict(list(steps.items())[:2])
        common.compare(
            f"Adam, {name}, a single step waited for",
            {
                key: lambda step=step: (step(), torch.cuda.synchronize())
                for key, step in first.items()
            },
        )


if __name__ == "__main__":
    if not torch.cuda.is_available():
        sys.exit("this PyTorch sees no GPU")
    common.main(benchmark, __doc__, counts="1")
