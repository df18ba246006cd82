"""Muon for the matrices, AdamW for the rest, in one optimizer: a network learns a photograph.

    python examples/muon_and_adamw/train.py [--out DIR] [--epochs N] [--seed N] [--runs N]

The network is given the place of a pixel and says its colour. It is trained on the 16,960 pixels of
a photograph of a flower that comes with scikit-learn; how well it has learnt is the peak
signal-to-noise ratio in dB. Muon orthogonalises the momentum of a matrix. Biases are no
matrices, and the last layer is usually left to AdamW too:

    optimizer.rules.of(Hidden)["/**/W"].use(optimizers.Muon(lr=...))

AdamW alone is run at three rates, and for twice as many epochs, because a step with Muon takes
longer.

After Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024. The pictures
are drawn into DIR/muon_and_adamw.png.
"""

from __future__ import annotations

import collections
import functools
import pathlib
import sys

import numpy as np
from sklearn import datasets

import chainrule
import chainrule.functions as F
import chainrule.links as L
from chainrule import initializers, optimizers, schedules

sys.path.append(str(pathlib.Path(__file__).parents[1]))
import common

BATCH = 512
# Name: rate of AdamW, of Muon, epochs relative to --epochs.
WAYS = {
    "AdamW, 0.001": (0.001, None, 1),
    "AdamW, 0.003": (0.003, None, 1),
    "AdamW, 0.01": (0.01, None, 1),
    "AdamW, 0.003, twice as long": (0.003, None, 2),
    "Muon, 0.02, and AdamW, 0.003": (0.003, 0.02, 1),
}


class Hidden(L.Linear):
    """A linear layer that is followed by a rectifier."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, initialW=initializers.HeNormal())

    def forward(self, x):
        return F.relu(super().forward(x))


class Net(chainrule.Chain):
    """Three hidden layers, and three numbers for a colour."""

    def __init__(self, inputs: int, width: int = 128) -> None:
        super().__init__()
        with self.init_scope():
            self.l1 = Hidden(inputs, width)
            self.l2 = Hidden(width, width)
            self.l3 = Hidden(width, width)
            self.colour = L.Linear(width, 3)

    def forward(self, x):
        return self.colour(self.l3(self.l2(self.l1(x))))


def photograph(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Give places of pixels, as waves of random frequencies, and colours."""
    image = datasets.load_sample_image("flower.jpg")[:424:4, :640:4].astype(np.float32) / 255
    height, width, _ = image.shape
    places = np.indices((height, width)).reshape(2, -1).T / height - 0.5
    waves = 2 * np.pi * places @ np.random.RandomState(seed).normal(0, 4, (2, 32))
    return np.hstack([np.sin(waves), np.cos(waves)]).astype(np.float32), image.reshape(-1, 3)


def set_up(net: Net, rate: float, muon: float | None, steps: int) -> chainrule.Optimizer:
    """Let AdamW have all parameters, or all but the matrices of the hidden layers."""
    falling = schedules.cosine(1.0, 0.0, steps)
    optimizer = optimizers.AdamW(alpha=rate * falling).setup(net)
    if muon is not None:
        optimizer.rules.of(Hidden)["/**/W"].use(optimizers.Muon(lr=muon * falling))
    return optimizer


def decibels(net: Net, x: np.ndarray, t: np.ndarray) -> float:
    """Give the peak signal-to-noise ratio of what the network makes of the whole photograph."""
    with chainrule.no_backprop_mode():
        return -10 * float(np.log10(F.mean_squared_error(net(x), t).array))


def main() -> int:
    args = common.arguments(__doc__, epochs=12, runs=3)
    runs = collections.defaultdict(list)
    for seed in range(args.seed, args.seed + args.runs):
        x, t = photograph(seed)
        for name, (rate, muon, longer) in WAYS.items():
            np.random.seed(seed)
            net = Net(x.shape[1])
            epochs = longer * args.epochs
            optimizer = set_up(net, rate, muon, epochs * -(-len(x) // BATCH))
            if muon is not None and seed == args.seed:
                print(optimizer.rules)
            score = functools.partial(decibels, net, x, t)
            run = common.train(
                optimizer, net, x, t, epochs, seed, BATCH, F.mean_squared_error, score
            )
            runs[name].append(run)
    best, ours = "AdamW, 0.01", "Muon, 0.02, and AdamW, 0.003"
    common.report(runs, "dB", best, form="{:.2f}")
    watched = {name: runs[name][0] for name in (best, ours)}
    file = args.out / "muon_and_adamw.png"
    title = "A network learns the colours of a photograph"
    common.draw(file, title, watched, runs, "signal to noise, dB")
    print(file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
