"""Kernels on a GPU: the share of the memory's speed that each reaches, and PyTorch beside them.

Most kernels here are bound by memory, so the limit is how fast the GPU copies memory to memory,
measured in the same run; of products of matrices the operations per second are told. The timing is
done by build/<preset>/benchmarks/gpu_kernels, because the Python layer keeps its arrays on the CPU.
PyTorch is timed where it is installed with CUDA.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

ROOT = pathlib.Path(__file__).parents[1]


def kernels(program: pathlib.Path, small: bool) -> list[dict]:
    """Run the C++ half and return its lines."""
    command = [str(program)] + (["--small"] if small else [])
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{program.name} failed with status {done.returncode}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def torch_times() -> dict[str, float]:
    """Time what PyTorch does under the same names; nothing where it has no GPU."""
    try:
        import torch
    except ModuleNotFoundError:
        return {}
    if not torch.cuda.is_available():
        return {}

    def seconds(step: Callable[[], object]) -> float:
        def sample(calls: int) -> float:
            torch.cuda.synchronize()
            start = time.perf_counter()
            for _ in range(calls):
                step()
            torch.cuda.synchronize()
            return (time.perf_counter() - start) / calls

        sample(3)
        calls = min(20000, max(3, int(0.05 / sample(5))))
        return statistics.median(sample(calls) for _ in range(5))

    side = 8192
    x, y = (torch.randn(side, side, device="cuda") for _ in range(2))
    xh, yh = x.half(), y.half()
    row, out, outh, one = x[0].clone(), torch.empty_like(x), xh.clone(), x[0, :1].clone()
    mask = x < y
    found = {
        "memory to memory": seconds(lambda: out.copy_(x)),
        "fill": seconds(lambda: out.fill_(1)),
        "x + y": seconds(lambda: torch.add(x, y, out=out)),
        "x + y, float16": seconds(lambda: torch.add(xh, yh, out=outh)),
        "x * scalar": seconds(lambda: torch.mul(x, 0.5, out=out)),
        "x + row": seconds(lambda: torch.add(x, row, out=out)),
        "tanh": seconds(lambda: torch.tanh(x, out=out)),
        "tanh, float16": seconds(lambda: torch.tanh(xh, out=outh)),
        "x < y": seconds(lambda: torch.lt(x, y, out=mask)),
        "where": seconds(lambda: torch.where(mask, x, y, out=out)),
        "float32 to float16": seconds(lambda: outh.copy_(x)),
        "copy of a transposed matrix": seconds(lambda: out.copy_(x.t())),
        "one launch": seconds(lambda: torch.add(one, one, out=one)),
    }

    found["sums of rows"] = seconds(lambda: x.sum(1))
    found["sums of columns"] = seconds(lambda: x.sum(0))
    found["sum of everything"] = seconds(lambda: x.sum())
    for dtype in (torch.float32, torch.bfloat16):
        a, b = (torch.randn(4096, 4096, device="cuda", dtype=dtype) for _ in range(2))
        c = torch.empty_like(a)
        name = str(dtype).removeprefix("torch.")
        found[f"product of 4096 x 4096, {name}"] = seconds(
            lambda a=a, b=b, c=c: torch.mm(a, b, out=c)
        )
    many = torch.randn(48, 768, 768, device="cuda", dtype=torch.bfloat16)
    products = torch.empty_like(many)
    found["48 products of 768 x 768, bfloat16"] = seconds(
        lambda: torch.bmm(many, many, out=products)
    )
    found |= bert_times(seconds)

    def step_of(
        make: Callable[[list], torch.optim.Optimizer], sizes: list[int]
    ) -> Callable[[], object]:
        params = [torch.randn(size, device="cuda", requires_grad=True) for size in sizes]
        for param in params:
            param.grad = torch.randn_like(param)
        return make(params).step

    one_large = [25_000_000]
    optim = torch.optim
    found["SGD, one tensor of 25M"] = seconds(
        step_of(lambda p: optim.SGD(p, lr=1e-3, fused=True), one_large)
    )
    found["MomentumSGD, one tensor of 25M"] = seconds(
        step_of(lambda p: optim.SGD(p, lr=1e-3, momentum=0.9, fused=True), one_large)
    )
    found["Adam, one tensor of 25M"] = seconds(
        step_of(lambda p: optim.Adam(p, fused=True), one_large)
    )
    found["Adam, 2,000 tensors of 256, each its rate"] = seconds(
        step_of(
            lambda p: optim.Adam([{"params": [q], "lr": 1e-3} for q in p], fused=True), [256] * 2000
        )
    )
    return found


def bert_times(seconds: Callable[[Callable[[], object]], float]) -> dict[str, float]:
    """Time PyTorch's rules on BERT-base's shapes: a group per tensor, as each has its rate."""
    import torch

    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    from shapes import bert_base, hidden

    optim = torch.optim
    matrices, others = [], []
    for i, shape in enumerate(bert_base()):
        param = torch.randn(shape, device="cuda", requires_grad=True)
        param.grad = torch.randn_like(param)
        rate = 1e-4 * (1 + i / 1000)
        if hidden(i, shape):
            matrices.append({"params": [param], "lr": 10 * rate})
        else:
            others.append({"params": [param], "lr": rate})
    adam = optim.AdamW(others, fused=True).step

    def own() -> list[dict]:  # an optimizer writes into its groups
        return [dict(group) for group in matrices]

    rules = {"Adafactor and Adam, BERT-base": optim.Adafactor(own()).step}
    if hasattr(optim, "Muon"):  # since 2.9; iterates in bfloat16
        rules["Muon in bfloat16 and Adam, BERT-base"] = optim.Muon(own()).step
    return {name: seconds(lambda step=step: (step(), adam())) for name, step in rules.items()}


def table(lines: list[dict], peer: dict[str, float]) -> str:
    """Lay the numbers out."""
    limit = next(r["bytes"] / r["seconds"] for r in lines if r["group"] == "limit")
    rows = [("", "us", "GB/s", "of limit", "TFLOP/s", "PyTorch us", "ratio")]
    for r in lines:
        speed = r["bytes"] / r["seconds"]
        theirs = peer.get(r["name"])
        rows.append(
            (
                r["name"],
                f"{1e6 * r['seconds']:.1f}",
                f"{speed / 1e9:.0f}" if speed else "",
                f"{100 * speed / limit:.0f} %" if speed else "",
                f"{r['operations'] / r['seconds'] / 1e12:.0f}" if r["operations"] else "",
                f"{1e6 * theirs:.1f}" if theirs else "",
                f"{r['seconds'] / theirs:.2f}" if theirs else "",
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0])]
            + [cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)]
        )
        for row in rows
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--build", default="build/dev", help="build folder (default: build/dev)")
    parser.add_argument("--small", action="store_true", help="little data, once: does it run?")
    parser.add_argument("--json", type=pathlib.Path, help="write all numbers to this file")
    args = parser.parse_args()
    first, *lines = kernels(ROOT / args.build / "benchmarks" / "gpu_kernels", args.small)
    peer = {} if args.small else torch_times()
    print(f"{first['device']}\n")
    print(table(lines, peer))
    if args.json:
        content = {"device": first["device"], "results": lines, "torch_seconds": peer}
        args.json.write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
