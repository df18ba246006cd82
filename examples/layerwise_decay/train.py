"""Fine-tune with rates that fall from layer to layer, towards the input.

    python examples/layerwise_decay/train.py [--out DIR] [--epochs N] [--seed N] [--runs N]

A network has learnt to tell the ten digits from 900 images. It is now asked something else,
whether a digit is odd, and is shown ten images, one of each digit. With one rate for everything the
lower layers, which are good already, are bent towards ten images. Where every layer has a share of
the rate of the layer above it, it is mostly the new head that learns:

    optimizer.rules["/l4/*"].hyperparam.alpha = chainrule.inherit * 0.3
    optimizer.rules["/l3/*"].hyperparam.alpha = chainrule.inherit * 0.3 * 0.3

After Howard and Ruder, "Universal Language Model Fine-tuning for Text Classification", 2018
("discriminative fine-tuning"). The pictures are drawn into DIR/layerwise_decay.png.
"""

from __future__ import annotations

import collections
import functools
import itertools
import pathlib
import sys

import numpy as np

import chainrule
import chainrule.functions as F
import chainrule.links as L
from chainrule import optimizers

sys.path.append(str(pathlib.Path(__file__).parents[1]))
import common

DECAY = {"uniform": 1.0, "layer-wise": 0.3, "head only": 0.0}
RATES = (0.001, 0.003, 0.01)


class Net(chainrule.Chain):
    """Four layers that both heads share."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.l1 = L.Linear(64, 128)
            self.l2 = L.Linear(128, 128)
            self.l3 = L.Linear(128, 128)
            self.l4 = L.Linear(128, 128)
            self.digit = L.Linear(128, 10)
            self.odd = L.Linear(128, 2)

    def body(self, x):
        return F.relu(self.l4(F.relu(self.l3(F.relu(self.l2(F.relu(self.l1(x))))))))

    def which_digit(self, x):
        return self.digit(self.body(x))

    def is_odd(self, x):
        return self.odd(self.body(x))


def set_up(net: Net, rate: float, decay: float) -> chainrule.Optimizer:
    """Give the new head the rate, and every layer below it a share of what is above."""
    optimizer = optimizers.Adam(alpha=rate).setup(net)
    share = chainrule.inherit
    for layer in ("odd", "l4", "l3", "l2", "l1"):
        optimizer.rules[f"/{layer}/*"].hyperparam.alpha = share
        share = share * decay
    return optimizer


def main() -> int:
    args = common.arguments(__doc__, epochs=30, runs=5)
    x, t = common.digits()
    odd = t % 2
    optimizer = set_up(Net(), RATES[-1], DECAY["layer-wise"])
    print(optimizer.rules)
    print("/l2/W, alpha:", optimizer.explain("/l2/W", "alpha"))

    runs, remembered = collections.defaultdict(list), collections.defaultdict(list)
    for seed in range(args.seed, args.seed + args.runs):
        np.random.seed(seed)
        learnt, rest = np.split(np.random.permutation(len(x)), [900])
        few = np.array([rest[t[rest] == digit][0] for digit in range(10)])
        test = np.setdiff1d(rest, few)
        net = Net()
        adam = optimizers.Adam().setup(net)
        common.train(adam, net.which_digit, x[learnt], t[learnt], epochs=15, seed=seed)
        for rate, (name, decay) in itertools.product(RATES, DECAY.items()):
            tuned = net.copy(mode="copy")
            optimizer = set_up(tuned, rate, decay)
            score = functools.partial(common.accuracy, tuned.is_odd, x[test], odd[test])
            run = common.train(
                optimizer, tuned.is_odd, x[few], odd[few], args.epochs, seed, batch=5, score=score
            )
            runs[f"{name}, {rate:g}"].append(run)
            before = common.accuracy(tuned.which_digit, x[test], t[test])
            remembered[f"{name}, {rate:g}"].append(before)

    common.report(runs, "odd or even", f"uniform, {RATES[0]:g}", {"which digit": remembered})
    shown = {name: runs[name] for name in runs if name.endswith(f" {RATES[-1]:g}")}
    watched = {name: each[0] for name, each in shown.items() if "head" not in name}
    file = args.out / "layerwise_decay.png"
    title = "Ten images tell a network that knows the digits which of them are odd"
    common.draw(file, title, watched, shown, "odd or even, test images")
    print(file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
