"""Write an update rule in a few lines, and train with it beside a built-in one.

    python examples/custom_update_rule/train.py [--out DIR] [--epochs N] [--seed N]

The rule is Lion with the cautious mask of Liang et al., "Cautious Optimizers", 2024: where the step
and the gradient disagree in sign, an element stays where it is. It is one function, which runs
inside the optimizer's one native sweep like the built-in Adam next to it. The 1,797 handwritten
digits of 8 x 8 pixels come with scikit-learn.

Three networks start from the same weights: all parameters by Adam, all by the new rule, and
the two mixed: matrices by the new rule, biases by Adam. The instructions that the function became,
the rules, and what they reach are printed; curves are drawn into DIR/custom_update_rule.png.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import time

import matplotlib
import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import chainrule
import chainrule.functions as F
import chainrule.links as L
from chainrule import optimizer_hooks, optimizers

matplotlib.use("Agg")
from matplotlib import pyplot as plt

BATCH = 32
EPOCHS = 30
GOAL = 0.95
COLORS = {"Adam": "#1f3a5f", "CautiousLion": "#d1495b", "mixed": "#2a9d8f"}


@chainrule.elementwise_rule
def CautiousLion(p, g, m, *, lr=1e-3, beta1=0.9, beta2=0.99, decay=0.0, cautious=True):
    """Lion (Chen et al., 2023), cautious (Liang et al., 2024)."""
    step = np.sign(beta1 * m + (1 - beta1) * g)
    if cautious:
        step = np.where(step * g > 0, step, 0)
    return p - lr * (step + decay * p), beta2 * m + (1 - beta2) * g


def make_net() -> chainrule.Sequential:
    """Give a network of two hidden layers."""
    return chainrule.Sequential(
        L.Linear(64, 128), F.relu, L.Linear(128, 64), F.relu, L.Linear(64, 10)
    )


def set_up(name: str, net: chainrule.Link):
    """Give every parameter its rule."""
    if name == "Adam":
        optimizer = optimizers.Adam(alpha=1e-3).setup(net)
    else:
        optimizer = CautiousLion().setup(net)
        if name == "mixed":
            adam = optimizers.Adam(alpha=1e-3)
            for path, param in net.namedparams():
                if path.endswith("/b"):
                    param.update_rule = adam.create_update_rule()
                else:
                    param.update_rule.hyperparam.decay = 0.01  # this parameter's own value
    optimizer.add_hook(optimizer_hooks.GradientClipping(5.0))
    return optimizer


def rules_table(net: chainrule.Link, title: str) -> Table:
    """Show what rule every parameter has."""
    table = Table("path", "shape", "rule", "values", "states", title=title)
    for path, param in sorted(net.namedparams()):
        rule = param.update_rule
        values = rule.hyperparam.get_dict()
        shown = [k for k in ("lr", "alpha", "beta1", "beta2", "decay", "cautious") if k in values]
        table.add_row(
            path,
            str(param.shape),
            type(rule).__name__.removesuffix("Rule"),
            ", ".join(f"{k}={values[k]}" for k in shown),
            ", ".join(rule.state or {}),
        )
    return table


def train(net, optimizer, train_set, test_set, epochs: int) -> list[tuple[float, float]]:
    """Train; give the mean loss and the share of test images read right, by epoch."""
    x, t = train_set
    history = []
    for _ in range(epochs):
        order = np.random.permutation(len(x))
        losses = []
        for start in range(0, len(x), BATCH):
            rows = order[start : start + BATCH]
            loss = F.softmax_cross_entropy(net(x[rows]), t[rows])
            net.cleargrads()
            loss.backward()
            optimizer.update()
            losses.append(float(loss.array))
        with chainrule.no_backprop_mode():
            accuracy = float(F.accuracy(net(test_set[0]), test_set[1]).array)
        history.append((float(np.mean(losses)), accuracy))
    return history


def draw(histories: dict[str, list[tuple[float, float]]], file: pathlib.Path) -> None:
    """Draw loss and accuracy of all networks."""
    plt.rcParams.update({"font.size": 10, "axes.titleweight": "bold"})
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    figure.suptitle("A rule of ten lines beside a built-in one: handwritten digits", weight="bold")
    for name, history in histories.items():
        values = np.array(history)
        epochs = np.arange(1, len(values) + 1)
        axes[0].plot(epochs, values[:, 0], color=COLORS[name], linewidth=2, label=name)
        axes[1].plot(epochs, 100 * values[:, 1], color=COLORS[name], linewidth=2, label=name)
    axes[0].set(title="Loss in training", xlabel="epoch", ylabel="cross entropy", yscale="log")
    axes[1].set(title="Accuracy in the test", xlabel="epoch", ylabel="read right, per cent")
    worst = min(accuracy for history in histories.values() for _, accuracy in history[-3:])
    axes[1].set_ylim(min(90.0, 100 * worst - 2), 100.2)
    for panel in axes:
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False)
    figure.savefig(file, dpi=130)
    plt.close(figure)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default="result", help="folder for the picture")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"default: {EPOCHS}")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    args = parser.parse_args()
    if args.epochs < 1:
        parser.error(f"--epochs: got {args.epochs}, expected at least 1")

    console = Console()
    digits = load_digits()
    x, x_test, t, t_test = train_test_split(
        (digits.data / 16).astype(np.float32),
        digits.target.astype(np.int32),
        test_size=0.25,
        stratify=digits.target,
        random_state=args.seed,
    )
    console.print("What the function became, without and with the switch:", style="bold")
    console.print(CautiousLion.listing(), highlight=False)

    histories = {}
    for name in COLORS:
        np.random.seed(args.seed)
        net = make_net()
        optimizer = set_up(name, net)
        start = time.perf_counter()
        histories[name] = train(net, optimizer, (x, t), (x_test, t_test), args.epochs)
        seconds = time.perf_counter() - start
        if name == "mixed":
            console.print(rules_table(net, "The rules of the mixed network"))
        loss, accuracy = histories[name][-1]
        console.print(f"{name}: loss {loss:.4f}, test accuracy {accuracy:.2%} in {seconds:.1f} s")

    args.out.mkdir(parents=True, exist_ok=True)
    file = args.out / "custom_update_rule.png"
    draw(histories, file)
    console.print(f"curves: {file}")
    lowest = min(history[-1][1] for history in histories.values())
    if args.epochs >= EPOCHS and lowest < GOAL:
        console.print(f"[red]expected at least {GOAL:.0%}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
