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

import functools
import pathlib
import sys

import numpy as np

import chainrule
import chainrule.functions as F
import chainrule.links as L
from chainrule import optimizer_hooks, optimizers

sys.path.append(str(pathlib.Path(__file__).parents[1]))
import common

EPOCHS = 30
GOAL = 0.95
NETWORKS = ("Adam", "CautiousLion", "mixed")


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
            optimizer.rules["/*/b"].use(optimizers.Adam(alpha=1e-3))
            optimizer.rules["/*/W"].hyperparam.decay = 0.01  # these parameters' own value
    optimizer.add_hook(optimizer_hooks.GradientClipping(5.0))
    return optimizer


def main() -> int:
    args = common.arguments(__doc__, epochs=EPOCHS)
    (x, t), (x_test, t_test) = common.split(*common.digits(), args.seed)
    print(
        "What the function became, without and with the switch:", CautiousLion.listing(), sep="\n"
    )

    runs = {}
    for name in NETWORKS:
        np.random.seed(args.seed)
        net = make_net()
        optimizer = set_up(name, net)
        score = functools.partial(common.accuracy, net, x_test, t_test)
        runs[name] = run = common.train(optimizer, net, x, t, args.epochs, args.seed, score=score)
        if name == "mixed":
            print(f"The rules of the mixed network\n{optimizer.rules}")
        print(f"{name}: test accuracy {run.scores[-1]:.2%} in {run.seconds:.1f} s")

    file = args.out / "custom_update_rule.png"
    title = "A rule of ten lines beside a built-in one: handwritten digits"
    common.draw(file, title, runs, {name: [run] for name, run in runs.items()}, "test accuracy")
    print(f"curves: {file}")
    lowest = min(run.scores[-1] for run in runs.values())
    if args.epochs >= EPOCHS and lowest < GOAL:
        print(f"expected at least {GOAL:.0%}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
