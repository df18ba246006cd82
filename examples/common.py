"""What the examples share: data that come with scikit-learn, a loop that watches, pictures.

An example compares a few ways to set up the same training, over several seeds:

    run = common.train(optimizer, net, x, t, epochs=30, seed=seed, score=lambda: ...)
    common.report({"uniform": [run, ...], "ours": [run, ...]}, "test accuracy", "uniform")
    common.draw(file, title, {"uniform": run, "ours": run}, runs, "test accuracy")
"""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from sklearn import datasets
from sklearn.model_selection import train_test_split

import chainrule
import chainrule.functions as F

matplotlib.use("Agg")
# Networks of this size gain nothing from a second thread.
chainrule.set_num_threads(1)

COLORS = ("#8d99ae", "#d1495b", "#1f3a5f", "#2a9d8f", "#edae49")
plt.rcParams.update({"font.size": 10, "axes.titleweight": "bold", "axes.titlesize": 11})


@dataclasses.dataclass
class Run:
    """What a training told of itself.

    Attributes:
        loss: Loss of every step.
        ratios: Size of an update over the size of the parameter, of every step, by path; NaN where
            the parameter was not updated.
        scores: What was asked for after every epoch.
        seconds: How long the steps took, without the scores.
    """

    loss: list[float] = dataclasses.field(default_factory=list)
    ratios: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    scores: list[float] = dataclasses.field(default_factory=list)
    seconds: float = 0.0


def arguments(doc: str, epochs: int, runs: int | None = None) -> argparse.Namespace:
    """Read --out, --epochs and --seed, and --runs where there is more than one."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default="result", help="folder for the picture")
    parser.add_argument("--epochs", type=int, default=epochs, help=f"default: {epochs}")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    if runs is not None:
        help = f"how many seeds, counted from --seed (default: {runs})"
        parser.add_argument("--runs", type=int, default=runs, help=help)
    args = parser.parse_args()
    for name in ("epochs", "runs"):
        if getattr(args, name, 1) < 1:
            parser.error(f"--{name}: got {getattr(args, name)}, expected at least 1")
    args.out.mkdir(parents=True, exist_ok=True)
    return args


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Give 1,797 handwritten digits of 8 x 8 pixels, scaled to 0..1, and what they show."""
    bunch = datasets.load_digits()
    return (bunch.data / 16).astype(np.float32), bunch.target.astype(np.int32)


def split(x: np.ndarray, t: np.ndarray, seed: int):
    """Give three quarters to learn from, one quarter to test with: (x, t), (x_test, t_test)."""
    x, x_test, t, t_test = train_test_split(x, t, test_size=0.25, stratify=t, random_state=seed)
    return (x, t), (x_test, t_test)


def accuracy(net: Callable, x: np.ndarray, t: np.ndarray) -> float:
    """Give the share of right answers, without dropout and without a graph."""
    with chainrule.using_config("train", False), chainrule.no_backprop_mode():
        return float(F.accuracy(net(x), t).array)


def train(
    optimizer: chainrule.Optimizer,
    net: Callable,
    x: np.ndarray,
    t: np.ndarray,
    epochs: int,
    seed: int,
    batch: int = 32,
    loss: Callable = F.softmax_cross_entropy,
    score: Callable[[], float] | None = None,
) -> Run:
    """Go through the data so many times, in random order; write down what every update did."""
    run = Run()
    optimizer.observe(statistics=["update_ratio"])
    rules = [
        (path, rule, run.ratios.setdefault(path, [])) for path, rule in optimizer.rules.items()
    ]
    random = np.random.RandomState(seed)
    for _ in range(epochs):
        order = random.permutation(len(x))
        start = time.perf_counter()
        for rows in np.split(order, range(batch, len(x), batch)):
            counts = [rule.t for _, rule, _ in rules]
            value = loss(net(x[rows]), t[rows])
            optimizer.target.cleargrads()
            value.backward()
            optimizer.update()
            run.loss.append(float(value.array))
            for (_, rule, ratios), before in zip(rules, counts, strict=True):
                ratios.append(rule.statistics["update_ratio"] if rule.t > before else np.nan)
        run.seconds += time.perf_counter() - start
        if score is not None:
            run.scores.append(score())
    return run


def report(
    runs: Mapping[str, Sequence[Run]],
    score: str,
    base: str,
    more: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
    form: str = "{:.1%}",
) -> None:
    """Print mean and deviation over the seeds, and how often a way was better than a given one."""
    rows = [["", score, f"better than {base} in", "loss", "ms a step", *(more or {})]]
    for name, each in runs.items():
        wins = sum(
            run.scores[-1] > other.scores[-1] for run, other in zip(each, runs[base], strict=True)
        )
        milliseconds = 1e3 * sum(run.seconds for run in each) / sum(len(run.loss) for run in each)
        rows.append(
            [
                name,
                spread([run.scores[-1] for run in each], form),
                "" if name == base else f"{wins} of {len(each)}",
                f"{np.mean([np.mean(run.loss[-10:]) for run in each]):.4f}",
                f"{milliseconds:.2f}",
                *(spread(values[name], form) for values in (more or {}).values()),
            ]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print(f"\nAt the end, mean ± standard deviation of {len(runs[base])} run(s):")
    for name, *cells in rows:
        print(name.ljust(widths[0]), *map(str.rjust, cells, widths[1:]), sep="  ")


def spread(values: Sequence[float], form: str = "{:.1%}") -> str:
    """Write mean and standard deviation."""
    return f"{form.format(np.mean(values))} ± {form.format(np.std(values))}"


def draw(
    file: pathlib.Path,
    title: str,
    watched: Mapping[str, Run],
    runs: Mapping[str, Sequence[Run]],
    score: str,
    curve: Callable[[Run], Sequence[float]] = lambda run: run.scores,
) -> None:
    """Draw the update ratios of a few runs side by side, and a curve of all of them."""
    rows = 1 if len(watched) < 3 else 2
    figure, axes = panels((len(watched) + rows) // rows, title, rows)
    draw_ratios(axes[: len(watched)], watched)
    for (name, each), color in zip(runs.items(), COLORS, strict=False):
        values = np.array([curve(run) for run in each])
        epochs = np.arange(1, values.shape[1] + 1)
        mean, deviation = values.mean(axis=0), values.std(axis=0)
        axes[-1].plot(epochs, mean, color=color, linewidth=2, label=name)
        axes[-1].fill_between(
            epochs, mean - deviation, mean + deviation, color=color, alpha=0.15, linewidth=0
        )
    axes[-1].set(title=score[0].upper() + score[1:], xlabel="epoch")
    axes[-1].xaxis.get_major_locator().set_params(integer=True)
    axes[-1].legend(
        frameon=False, title=f"mean ± deviation, {len(each)} runs" if len(each) > 1 else None
    )
    save(figure, file)


def draw_ratios(axes: Sequence, watched: Mapping[str, Run]) -> None:
    """Draw update ratios, a panel for each run, a line for each parameter."""
    styles = dict(styled(list(next(iter(watched.values())).ratios)))
    for panel, (name, run) in zip(axes, watched.items(), strict=True):
        if panel is not axes[0]:
            panel.sharey(axes[0])
        for path, ratios in run.ratios.items():
            if np.isfinite(ratios).any():
                panel.plot(*smooth(ratios), label=path, **styles[path])
        panel.set(title=f"Updates: {name}", xlabel="step", yscale="log")
    axes[0].set_ylabel("size of the update / size of the parameter")
    axes[-1].legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=9)


def panels(columns: int, title: str, rows: int = 1):
    """Make a figure of panels, and list them."""
    size = (5 * columns, 0.4 + 4.2 * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, layout="constrained")
    figure.suptitle(title, weight="bold", size=13)
    for panel in axes.flat:
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    return figure, axes.ravel()


def save(figure, file: pathlib.Path) -> None:
    """Write a figure, and forget it."""
    figure.savefig(file, dpi=120)
    plt.close(figure)


def smooth(values: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Give steps and values, medians of neighbours, at most a hundred of them."""
    array = np.array(values)
    array[~np.isfinite(array) | (array == 0)] = np.nan
    pieces = np.array_split(array, min(len(array), 100))
    ends = np.cumsum([len(piece) for piece in pieces])
    return ends, np.array([np.nan if np.isnan(p).all() else np.nanmedian(p) for p in pieces])


def styled(paths: Sequence[str]) -> Iterator[tuple[str, dict]]:
    """Give every parameter a line: a colour for its link, dashes where it is no weight."""
    links = list(dict.fromkeys(path.rpartition("/")[0] for path in paths))
    colors = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, len(links)))
    for path in paths:
        link, _, name = path.rpartition("/")
        dashes = "--" if name == "b" else "-"
        yield path, {"color": colors[links.index(link)], "linestyle": dashes, "linewidth": 1.5}
