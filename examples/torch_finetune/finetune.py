"""Fine-tune a small transformer with rules, and with PyTorch's own means, side by side.

    pip install '.[examples]' torch
    python examples/torch_finetune/finetune.py --out finetune
    python examples/torch_finetune/finetune.py --device cuda --width 512 --depth 12

A model that has read Python programs learns to write Python's documentation: lower layers at lower
rates, let go from the top to the bottom, Muon for matrices and AdamW for the rest, rates that fall
to zero. `with_rules.py` and `with_groups.py` do the same; this program prints how many lines that
took and how long the updates did, and draws losses and the update ratios of every layer.
"""

from __future__ import annotations

import argparse
import copy
import os
import pathlib

os.environ.setdefault("OMP_NUM_THREADS", "1")  # matrices are small: threads would wait

import with_groups
import with_rules
from model import Transformer, batches, evaluate, loss_of, program_text, prose

import torch


def pretrained(steps: int, width: int, depth: int, device: str) -> torch.nn.Module:
    """A model that has learned to write programs."""
    model = Transformer(width, depth).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3 * (64 / width) ** 0.5)
    for x, y in batches(program_text().to(device), steps):
        optimizer.zero_grad()
        loss_of(model, x, y).backward()
        optimizer.step()
    return model


def lines_of(module) -> int:
    """Lines of code beside blank ones and comments."""
    lines = pathlib.Path(module.__file__).read_text().splitlines()
    return sum(1 for line in lines if line.strip() and not line.strip().startswith("#"))


def layer_of(name: str) -> str:
    parts = name.split(".")
    return ".".join(parts[:2]) if parts[0] == "layers" else parts[0]


def draw(path: pathlib.Path, runs) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 1 + len(runs), figsize=(5 * (1 + len(runs)), 4))
    for name, (losses, ratios, *_) in runs.items():
        axes[0].plot(losses, label=name, alpha=0.7)
        axis = axes[1 + list(runs).index(name)]
        layers = sorted({layer_of(n) for n in ratios[-1]})
        for layer in layers:
            found = [
                [r for n, r in step.items() if layer_of(n) == layer and r is not None]
                for step in ratios
            ]
            steps = [i for i, values in enumerate(found) if values]
            axis.semilogy(steps, [sum(found[i]) / len(found[i]) for i in steps], label=layer)
        axis.set(title=f"update ratios, {name}", xlabel="step")
        axis.legend(fontsize=7)
    axes[0].set(title="loss", xlabel="step")
    axes[0].legend()
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--pretrain", type=int, default=200)
    parser.add_argument("--width", type=int, default=64, help="of the model")
    parser.add_argument("--depth", type=int, default=4, help="of the model, in layers")
    parser.add_argument("--device", default="cpu", help="for example cuda")
    parser.add_argument("--out", type=pathlib.Path, help="folder for the picture")
    args = parser.parse_args()
    torch.manual_seed(0)
    model = pretrained(args.pretrain, args.width, args.depth, args.device)
    text = prose().to(args.device)
    print(f"before fine-tuning: loss {evaluate(model, text):.3f}")
    runs = {}
    for name, module in (("rules", with_rules), ("groups", with_groups)):
        tuned = copy.deepcopy(model)
        runs[name] = module.train(tuned, text, args.steps, 1e-3, 0.8, args.steps // 8)
        seconds = 1e3 * runs[name][2] / args.steps
        print(
            f"{name:>6}: loss {evaluate(tuned, text):.3f}, {lines_of(module)} lines, "
            f"{seconds:.2f} ms per update with its ratios"
        )
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        draw(args.out / "finetune.png", runs)
    print(runs["rules"][3].rules["layers.0.**"])


if __name__ == "__main__":
    main()
