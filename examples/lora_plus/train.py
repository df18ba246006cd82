"""Adapt a network by matrices of low rank, the second of which learns faster than the first.

    python examples/lora_plus/train.py [--out DIR] [--epochs N] [--seed N] [--runs N]

A network has learnt to read handwritten digits. It is frozen, and an adapter beside each of its
layers, ``B A x`` with four rows in ``A`` and zeros in ``B``, teaches it to read digits that lie on
their side. LoRA gives both matrices one rate; LoRA+ gives ``B`` a multiple of ``A``'s:

    optimizer.rules["/*/B/W"].hyperparam.alpha = chainrule.inherit * 16

Each ratio is tried at several rates. After Hu et al., "LoRA: Low-Rank Adaptation of Large Language
Models", 2021, and Hayou et al., "LoRA+: Efficient Low Rank Adaptation of Large Models", 2024. The
pictures are drawn into DIR/lora_plus.png.
"""

from __future__ import annotations

import collections
import functools
import pathlib
import sys

import numpy as np

import chainrule
import chainrule.functions as F
import chainrule.links as L
from chainrule import optimizers

sys.path.append(str(pathlib.Path(__file__).parents[1]))
import common

WIDTH, RANK = 256, 4
# Ratio of B's rate to A's, and the rates of A that it is tried with.
LORA, LORA_PLUS = 1, 16
RATES = {LORA: (0.003, 0.01, 0.03), LORA_PLUS: (0.001, 0.003, 0.01)}


class Adapted(chainrule.Chain):
    """A layer with an adapter of low rank, which changes nothing before it has learnt."""

    def __init__(self, base: L.Linear, rank: int) -> None:
        super().__init__()
        outputs, inputs = base.W.shape
        with self.init_scope():
            self.base = base.copy(mode="copy")
            self.A = L.Linear(inputs, rank, nobias=True)
            self.B = L.Linear(rank, outputs, nobias=True, initialW=0)

    def forward(self, x):
        return self.base(x) + self.B(self.A(x))


def set_up(net: chainrule.Link, rate: float, ratio: float) -> chainrule.Optimizer:
    """Freeze the layers, and let B learn so many times as fast as A."""
    optimizer = optimizers.Adam(alpha=rate).setup(net)
    optimizer.rules["/*/base/*"].enabled = False
    optimizer.rules["/*/B/W"].hyperparam.alpha = chainrule.inherit * ratio
    return optimizer


def sequence(l1, l2, l3) -> chainrule.Sequential:
    return chainrule.Sequential(l1, F.relu, l2, F.relu, l3)


def main() -> int:
    args = common.arguments(__doc__, epochs=5, runs=5)
    x, t = common.digits()
    on_side = np.rot90(x.reshape(-1, 8, 8), axes=(1, 2)).reshape(x.shape).copy()
    runs = collections.defaultdict(list)
    for seed in range(args.seed, args.seed + args.runs):
        np.random.seed(seed)
        (upright, labels), _ = common.split(x, t, seed)
        (x_train, t_train), (x_test, t_test) = common.split(on_side, t, seed)
        layers = L.Linear(64, WIDTH), L.Linear(WIDTH, WIDTH), L.Linear(WIDTH, 10)
        base = sequence(*layers)
        common.train(optimizers.Adam().setup(base), base, upright, labels, 10, seed)
        for ratio, rates in RATES.items():
            for rate in rates:
                np.random.seed(seed)
                net = sequence(*(Adapted(layer, RANK) for layer in layers))
                optimizer = set_up(net, rate, ratio)
                if seed == args.seed and (ratio, rate) == (LORA_PLUS, 0.003):
                    before = common.accuracy(net, x_test, t_test)
                    print(optimizer.rules, f"\nbefore: {before:.1%}")
                score = functools.partial(common.accuracy, net, x_test, t_test)
                run = common.train(optimizer, net, x_train, t_train, args.epochs, seed, score=score)
                runs[f"{'LoRA' if ratio == LORA else 'LoRA+'}, {rate:g}"].append(run)
    common.report(runs, "test accuracy", "LoRA, 0.01")
    file = args.out / "lora_plus.png"
    shown = {name: runs[name] for name in ("LoRA, 0.003", "LoRA, 0.01", "LoRA+, 0.003")}
    watched = {name: shown[name][0] for name in ("LoRA, 0.01", "LoRA+, 0.003")}
    title = "Adapters of rank four teach a network to read digits that lie on their side"
    common.draw(file, title, watched, shown, "test accuracy")
    print(file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
