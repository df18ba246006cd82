"""Let the layers of a pretrained network go one after another, from the top.

    python examples/gradual_unfreezing/train.py [--out DIR] [--epochs N] [--seed N] [--runs N]

An encoder has learnt, without labels, to fill in numbers that were left out: of the chemical
analyses of 178 wines, or of 569 biopsies of breasts. Then it is shown three labelled samples per
class, and a new head learns to tell from which of three vineyards a wine comes, or whether a
tumour is malignant. All layers learn at once, or each waits for its turn:

    optimizer.rules["/l2/*"].enabled = schedules.after(80)

While a layer is off, no gradient is computed for it and for what lies below it.

After Howard and Ruder, "Universal Language Model Fine-tuning for Text Classification", 2018. The
pictures of the wines are drawn into DIR/gradual_unfreezing.png.
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
from chainrule import optimizers, schedules

sys.path.append(str(pathlib.Path(__file__).parents[1]))
import common

RATE = 0.003
BATCH = 3
WAYS = ("all at once", "gradual", "head only")


class Net(chainrule.Chain):
    """Three layers, a head that fills in what is missing, and one that tells classes apart."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        with self.init_scope():
            self.l1 = L.Linear(inputs, 64)
            self.l2 = L.Linear(64, 64)
            self.l3 = L.Linear(64, 64)
            self.fill = L.Linear(64, inputs)
            self.head = L.Linear(64, classes)

    def encode(self, x):
        return F.relu(self.l3(F.relu(self.l2(F.relu(self.l1(x))))))

    def fill_in(self, x):
        return self.fill(self.encode(F.dropout(x, 0.3)))

    def classify(self, x):
        return self.head(self.encode(x))


def set_up(net: Net, way: str, steps: int) -> chainrule.Optimizer:
    """Unfreeze layer after layer, every so many steps."""
    optimizer = optimizers.Adam(alpha=RATE).setup(net)
    if way == "gradual":
        for turn, layer in enumerate(("l3", "l2", "l1"), start=1):
            optimizer.rules[f"/{layer}/*"].enabled = schedules.after(turn * steps)
    elif way == "head only":
        optimizer.rules["/l?/*"].enabled = False
    return optimizer


def compare(data: str, args) -> dict[str, list[common.Run]]:
    """Train in all ways, from several seeds."""
    bunch = getattr(datasets, f"load_{data}")()
    x = ((bunch.data - bunch.data.mean(axis=0)) / bunch.data.std(axis=0)).astype(np.float32)
    t = bunch.target.astype(np.int32)
    runs = collections.defaultdict(list)
    for seed in range(args.seed, args.seed + args.runs):
        np.random.seed(seed)
        (x_train, t_train), (x_test, t_test) = common.split(x, t, seed)
        few = np.concatenate([np.flatnonzero(t_train == c)[:3] for c in np.unique(t)])
        net = Net(x.shape[1], t.max() + 1)
        adam = optimizers.Adam().setup(net)
        common.train(adam, net.fill_in, x_train, x_train, 60, seed, loss=F.mean_squared_error)
        for way in WAYS:
            tuned = net.copy(mode="copy")
            optimizer = set_up(tuned, way, steps=max(1, args.epochs * len(few) // BATCH // 5))
            if way == "gradual" and seed == args.seed:
                print(f"\n{data}\n{optimizer.rules}")
            score = functools.partial(common.accuracy, tuned.classify, x_test, t_test)
            run = common.train(
                optimizer, tuned.classify, x_train[few], t_train[few], args.epochs, seed, BATCH,
                score=score,
            )  # fmt: skip
            runs[way].append(run)
    common.report(runs, "test accuracy", WAYS[0])
    return runs


def main() -> int:
    args = common.arguments(__doc__, epochs=60, runs=5)
    compare("breast_cancer", args)
    runs = compare("wine", args)
    file = args.out / "gradual_unfreezing.png"
    watched = {way: runs[way][0] for way in WAYS[:2]}
    title = "Nine wines tell a pretrained network which vineyard they come from"
    common.draw(file, title, watched, runs, "test accuracy")
    print(file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
