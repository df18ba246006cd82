"""Find the learning rate on a narrow network, and use it on a wide one.

    python examples/mup/train.py [--out DIR] [--epochs N] [--seed N] [--runs N]

With one rate for all parameters, the best rate of a network depends on its width. In the maximal
update parametrisation (muP) it does not: under Adam the rate of a matrix whose input grows with the
width is divided by that width, and the last layer starts smaller.

    rule.hyperparam.alpha = chainrule.inherit * (BASE / param.shape[1])

Networks of three widths learn the digits at eight rates in both ways; at the width BASE both ways
are the same.

After Yang et al., "Tensor Programs V: Tuning Large Neural Networks via Zero-Shot Hyperparameter
Transfer", 2022. The pictures are drawn into DIR/mup.png.
"""

from __future__ import annotations

import collections
import itertools
import pathlib
import sys

import numpy as np

import chainrule
import chainrule.functions as F
import chainrule.links as L
from chainrule import initializers, optimizers

sys.path.append(str(pathlib.Path(__file__).parents[1]))
import common

BASE = 32
WIDTHS = (32, 128, 512)
RATES = 2.0 ** np.arange(-10, -2)
WAYS = ("uniform", "muP")


class Net(chainrule.Chain):
    """Two hidden layers between first and last."""

    def __init__(self, width: int, way: str) -> None:
        super().__init__()
        he = initializers.HeNormal()
        scale = width**-0.5 if way == "uniform" else BASE**0.5 / width
        with self.init_scope():
            self.first = L.Linear(64, width, initialW=he)
            self.h1 = L.Linear(width, width, initialW=he)
            self.h2 = L.Linear(width, width, initialW=he)
            self.last = L.Linear(width, 10, initialW=initializers.Normal(scale))

    def forward(self, x):
        return self.last(F.relu(self.h2(F.relu(self.h1(F.relu(self.first(x)))))))


def set_up(net: Net, rate: float, way: str) -> chainrule.Optimizer:
    """Divide the rate of every matrix whose input grows with the width by what it has grown."""
    optimizer = optimizers.Adam(alpha=rate).setup(net)
    if way == "muP":
        wide = optimizer.rules["/h?/W", "/last/W"]
        for rule, param in zip(wide, wide.params, strict=True):
            rule.hyperparam.alpha = chainrule.inherit * (BASE / param.shape[1])
    return optimizer


def draw(file: pathlib.Path, losses: dict[tuple, list[float]], watched: dict[str, common.Run]):
    """Draw the loss over the rate for all widths, and the updates of the widest."""
    title = "In muP, the best rate of a narrow network is that of a wide one"
    figure, axes = common.panels(2, title, rows=2)
    axes[1].sharey(axes[0])
    for panel, way in zip(axes, WAYS, strict=False):
        for width, color in zip(WIDTHS, common.COLORS, strict=False):
            mean = [np.mean(losses[way, width, rate]) for rate in RATES]
            panel.plot(RATES, mean, ".-", color=color, linewidth=2, label=f"width {width}")
            best = int(np.nanargmin(mean))
            panel.plot(RATES[best], mean[best], "o", color=color, markersize=10)
        panel.set(title=f"Loss: {way}", xlabel="rate of Adam", yscale="log")
        panel.set_xscale("log", base=2)
        panel.set_yticks([0.125, 0.25, 0.5, 1, 2], minor=False)
        panel.set_yticks([], minor=True)
        panel.yaxis.set_major_formatter("{x:g}")
    axes[0].set_ylabel("loss in the last epoch")
    axes[0].legend(frameon=False, title="dots: the best")
    common.draw_ratios(axes[2:], watched)
    common.save(figure, file)


def main() -> int:
    args = common.arguments(__doc__, epochs=2, runs=3)
    x, t = common.digits()
    losses, watched = collections.defaultdict(list), {}
    print(set_up(Net(WIDTHS[-1], "muP"), 2.0**-6, "muP").rules)
    for way, width, rate in itertools.product(WAYS, WIDTHS, RATES):
        for seed in range(args.seed, args.seed + args.runs):
            np.random.seed(seed)
            net = Net(width, way)
            run = common.train(set_up(net, rate, way), net, x, t, args.epochs, seed, batch=64)
            losses[way, width, rate].append(np.mean(run.loss[-len(run.loss) // args.epochs :]))
            if (width, rate) == (WIDTHS[-1], 2.0**-6):
                watched[f"{way}, width {width}, rate 1/64"] = run

    print(f"\nLoss in the last epoch, mean of {args.runs} runs, and the best rate:")
    print(" " * 18, *(f"2^{np.log2(rate):3.0f}" for rate in RATES), "  best", sep="   ")
    for way, width in itertools.product(WAYS, WIDTHS):
        mean = [np.mean(losses[way, width, rate]) for rate in RATES]
        best = f"2^{np.log2(RATES[np.nanargmin(mean)]):.0f}"
        print(f"{way:8} width {width:4}", *(f"{value:5.3f}" for value in mean), best, sep="   ")
    file = args.out / "mup.png"
    draw(file, losses, watched)
    print(file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
