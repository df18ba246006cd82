"""Recognise handwritten digits: a network with a rule for every parameter.

    python examples/digits/train.py [--out DIR] [--epochs N] [--seed N]

The 1,797 digits of 8 x 8 pixels come with scikit-learn; three quarters are learnt from, one quarter
tests. All parameters follow one Adam, and these go their own way:

- ``l1``, the first layer, is frozen at its random start; unfrozen after a quarter of the
  epochs;
- ``l3``, the last layer, learns at three times the rate;
- weights decay, biases do not.

Loss, accuracy and what the first layer has learnt are drawn into DIR/digits.png.
"""

from __future__ import annotations

import pathlib
import sys
import time

import numpy as np
from matplotlib import pyplot as plt
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import chainrule
import chainrule.functions as F
import chainrule.links as L
from chainrule import optimizer_hooks, optimizers

sys.path.append(str(pathlib.Path(__file__).parents[1]))
import common

BATCH = 32
EPOCHS = 40
GOAL = 0.97
INK = "#1f3a5f"
ACCENT = "#d1495b"


class MLP(chainrule.Chain):
    """Two hidden layers with dropout."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            self.l1 = L.Linear(64, 256)
            self.l2 = L.Linear(256, 128)
            self.l3 = L.Linear(128, 10)

    def forward(self, x):
        h = F.dropout(F.relu(self.l1(x)), 0.3)
        h = F.dropout(F.relu(self.l2(h)), 0.3)
        return self.l3(h)


def set_up(net: MLP):
    """Give every parameter its rule."""
    optimizer = optimizers.Adam(alpha=0.002)
    optimizer.setup(net)
    net.l1.disable_update()
    optimizer.rules["/l3/*"].hyperparam.alpha = chainrule.inherit * 3
    optimizer.rules["/*/W"].add_hook(optimizer_hooks.WeightDecay(5e-4))
    return optimizer


def train_epoch(net: MLP, optimizer, x: np.ndarray, t: np.ndarray) -> tuple[float, float]:
    """Go through all images once, in random order; give mean loss and accuracy."""
    order = np.random.permutation(len(x))
    loss_sum = hits = 0.0
    for start in range(0, len(x), BATCH):
        rows = order[start : start + BATCH]
        y = net(x[rows])
        loss = F.softmax_cross_entropy(y, t[rows])
        net.cleargrads()
        loss.backward()
        optimizer.update()
        loss_sum += float(loss.array) * len(rows)
        hits += np.count_nonzero(y.array.argmax(axis=1) == t[rows])
    return loss_sum / len(x), hits / len(x)


def evaluate(net: MLP, x: np.ndarray, t: np.ndarray) -> tuple[float, float]:
    """Give loss and accuracy on images that were not learnt from."""
    with chainrule.using_config("train", False), chainrule.no_backprop_mode():
        y = net(x)
        return float(F.softmax_cross_entropy(y, t).array), float(F.accuracy(y, t).array)


def mosaic(weights: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Lay the weights of neurons, 8 x 8 each, side by side with gaps of one."""
    tiles = np.full((rows * 9 - 1, columns * 9 - 1), np.nan, np.float32)
    for i, tile in enumerate(weights[: rows * columns].reshape(-1, 8, 8)):
        row, column = divmod(i, columns)
        tiles[row * 9 : row * 9 + 8, column * 9 : column * 9 + 8] = tile
    return tiles


def draw(history: np.ndarray, release: int, first: np.ndarray, last: np.ndarray, file) -> None:
    """Draw the curves, and the first layer's weights before and after."""
    figure = plt.figure(figsize=(11, 8), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.1, w_pad=0.1)
    grid = figure.add_gridspec(2, 2)
    epochs = np.arange(1, len(history) + 1)
    accuracy = history[-1, 3]
    figure.suptitle(
        f"Handwritten digits: {accuracy:.1%} of the test images are read right",
        weight="bold",
        size=13,
    )

    curves = (
        ("Loss", "cross entropy", history[:, 0], history[:, 2]),
        ("Accuracy", "read right, per cent", 100 * history[:, 1], 100 * history[:, 3]),
    )
    for column, (title, label, train, test) in enumerate(curves):
        axes = figure.add_subplot(grid[0, column])
        axes.plot(epochs, train, color=INK, alpha=0.4, label="training, with dropout")
        axes.plot(epochs, test, color=INK, linewidth=2, label="test")
        axes.axvline(release, color=ACCENT, linestyle="--", label="first layer unfrozen")
        axes.set(title=title, xlabel="epoch", ylabel=label, xlim=(1, max(len(history), 2)))
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    loss_axes, accuracy_axes = figure.axes
    loss_axes.set_yscale("log")
    loss_axes.yaxis.set_major_formatter("{x:g}")
    accuracy_axes.set_ylim(min(90.0, 100 * np.median(history[:, 3]) - 5), 100.2)

    # The same neurons in both: those with the largest weights in the end.
    order = np.argsort(-np.linalg.norm(last, axis=1), kind="stable")[:60]
    limit = float(np.quantile(np.abs(last[order]), 0.995))
    panels = []
    for column, (title, weights) in enumerate(
        (
            ("First layer's weights: random, while frozen", first),
            ("First layer's weights: learnt", last),
        )
    ):
        axes = figure.add_subplot(grid[1, column])
        tiles = mosaic(weights[order], 6, 10)
        image = axes.imshow(tiles, cmap="RdBu_r", vmin=-limit, vmax=limit)
        axes.set(title=title, xticks=(), yticks=(), xlabel="60 of 256 neurons, 8 x 8 pixels each")
        axes.spines[:].set_visible(False)
        panels.append(axes)
    figure.colorbar(image, ax=panels, shrink=0.75, label="weight", pad=0.02)
    common.save(figure, file)


def main() -> int:
    args = common.arguments(__doc__, epochs=EPOCHS)
    console = Console()
    np.random.seed(args.seed)
    train, test = common.split(*common.digits(), args.seed)
    net = MLP()
    optimizer = set_up(net)
    first = net.l1.W.array.copy()
    release = args.epochs // 4
    print(f"The rules at the start\n{optimizer.rules}\n")

    history = []
    start = time.perf_counter()
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.4f}, test accuracy {task.fields[accuracy]:.2%}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=args.epochs, loss=float("nan"), accuracy=0.0)
        for epoch in range(args.epochs):
            if epoch == release:
                net.l1.enable_update()
                progress.print(f"epoch {epoch + 1}: the first layer is unfrozen")
            history.append((*train_epoch(net, optimizer, *train), *evaluate(net, *test)))
            optimizer.alpha *= 0.95  # reaches all parameters, also those at a multiple of it
            loss, _, _, accuracy = history[-1]
            progress.update(task, advance=1, loss=loss, accuracy=accuracy)
    seconds = time.perf_counter() - start

    print(f"\nThe rules at the end\n{optimizer.rules}\n")
    file = args.out / "digits.png"
    draw(np.array(history), release, first, net.l1.W.array, file)
    console.print(
        f"test accuracy {accuracy:.2%} after {args.epochs} epochs in {seconds:.1f} s; {file}"
    )
    if args.epochs >= EPOCHS and accuracy < GOAL:
        console.print(f"[red]expected at least {GOAL:.0%}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
