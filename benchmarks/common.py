"""What all benchmarks share: timing in turns, ratios, and a description of the machine.

A benchmark is a script that times several ways to do one thing and prints ratios:

    with common.threads(2):
        common.compare("x + y", {"chainrule": ours, "PyTorch": theirs}, reach=0.35)
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import pathlib
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import chainrule

# Everything that was compared in this run, for --json.
results: list[dict] = []
_threads = 1


@dataclass
class Timing:
    """Seconds per call: the median of all samples, and half of what lies between the quartiles."""

    median: float
    spread: float
    samples: tuple[float, ...] = ()

    def ratio(self, other: Timing) -> float:
        """Give the median of ratios of what was timed in the same turn, where both were."""
        if not self.samples or len(self.samples) != len(other.samples):
            return self.median / other.median
        pairs = zip(self.samples, other.samples, strict=True)
        return statistics.median(ours / theirs for ours, theirs in pairs)

    def __str__(self) -> str:
        value, unit = next(
            (self.median * scale, unit)
            for scale, unit in ((1e6, "us"), (1e3, "ms"), (1, "s"))
            if self.median * scale < 1000 or unit == "s"
        )
        return f"{value:8.3f} {unit} +-{100 * self.spread / self.median:2.0f} %"


def _nothing() -> None:
    pass


def _ignore(name: str) -> None:
    pass


def _sample(step: Callable[[], object], calls: int, settle: Callable[[], object]) -> float:
    clock = time.perf_counter
    loop = range(calls)
    settle()
    start = clock()
    for _ in loop:
        step()
    settle()
    return (clock() - start) / calls


def measure(
    steps: Mapping[str, Callable[[], object]],
    seconds: float = 1.0,
    pause: float = 0.01,
    settle: Callable[[], object] = _nothing,
    arrange: Callable[[str], object] = _ignore,
) -> dict[str, Timing]:
    """Time callables in turns, so that whatever else the machine does meets all of them.

    Args:
        steps: What to time, by name.
        seconds: About how long to time each of them.
        pause: Rest before each turn, in which the threads of the one before fall asleep: a pool
            of OpenMP threads spins for a while after its work.
        settle: Waits until what was begun is done, on a GPU; part of the time of all calls of a
            turn together.
        arrange: Called with a name before each of its turns, which is not timed.

    Returns:
        Timings by name.
    """
    calls = {}
    rounds = {}
    for name, step in steps.items():
        arrange(name)
        for _ in range(3):
            step()
        once = max(min(_sample(step, 1, settle) for _ in range(3)), 1e-8)
        calls[name] = max(1, round(0.01 / once))
        rounds[name] = calls[name] * _sample(step, calls[name], settle)
    count = min(200, max(7, round(seconds / max(rounds.values()))))
    samples: dict[str, list[float]] = {name: [] for name in steps}
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for _ in range(count):
            for name, step in steps.items():
                arrange(name)
                time.sleep(pause)
                # A turn for nothing: after a rest, it is ten milliseconds until threads, caches and
                # the processor's clock are what they are in a loop.
                _sample(step, calls[name], settle)
                samples[name].append(_sample(step, calls[name], settle))
    finally:
        if collecting:
            gc.enable()
    timings = {}
    for name, values in samples.items():
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        timings[name] = Timing(median, (high - low) / 2, tuple(values))
    return timings


def compare(
    title: str,
    steps: Mapping[str, Callable[[], object]],
    reach: float | None = None,
    seconds: float = 1.0,
    settle: Callable[[], object] = _nothing,
    arrange: Callable[[str], object] = _ignore,
) -> dict[str, Timing]:
    """Time callables in turns and print the ratio of the first to each of the others.

    A ratio is the median of the turns' ratios: what slows the machine for a while slows both.

    Args:
        title: What they do.
        steps: What to time, by name; ours comes first.
        reach: The ratio to the second that is to be reached.
        seconds: About how long to time each of them.
        settle: As for :func:`measure`.
        arrange: As for :func:`measure`.

    Returns:
        Timings by name.
    """
    timings = measure(steps, seconds, settle=settle, arrange=arrange)
    plural = "s" if _threads > 1 else ""
    print(f"\n{title}, {_threads} thread{plural}")
    ours, *others = timings
    width = max(map(len, timings)) + 2
    print(f"  {ours:<{width}}{timings[ours]}")
    for i, name in enumerate(others):
        ratio = timings[ours].ratio(timings[name])
        line = f"  {name:<{width}}{timings[name]}   ratio {ratio:.3g}"
        if i == 0 and reach is not None:
            line += f" (to reach: {reach:.3g}, {'reached' if ratio <= reach else 'MISSED'})"
        print(line, flush=True)
    results.append(
        {
            "title": title,
            "threads": _threads,
            "reach": reach,
            "seconds": {name: timing.median for name, timing in timings.items()},
            "spread": {name: timing.spread for name, timing in timings.items()},
            "ratios": {name: timings[ours].ratio(timings[name]) for name in others},
        }
    )
    return timings


def beyond(
    title: str,
    steps: Mapping[str, Callable[[], object]],
    reach: float,
    seconds: float = 1.0,
) -> None:
    """Time two callables in turns and print by how much the first takes longer.

    Args:
        title: What they do.
        steps: What to time, by name; ours comes first, then what it cannot do without.
        reach: The seconds that it may take beyond the other.
        seconds: About how long to time each of them.
    """
    timings = compare(title, steps, seconds=seconds)
    ours, other = timings.values()
    extra = ours.median - other.median
    verdict = "reached" if extra <= reach else "MISSED"
    print(f"  beyond it: {1e3 * extra:.3f} ms (to reach: {1e3 * reach:.3g} ms, {verdict})")
    results[-1] |= {"beyond": extra, "reach": reach}


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Let chainrule, and PyTorch if it was imported, use a number of threads."""
    global _threads
    before = chainrule._core.num_threads()
    _set_threads(count)
    _threads = count
    try:
        yield
    finally:
        _set_threads(before)


def thread_count() -> int:
    """Give the number of threads that is being timed."""
    return _threads


def _set_threads(count: int) -> None:
    chainrule._core.set_num_threads(count)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)


def machine() -> str:
    """Describe the machine and the versions of what is compared, in a few lines."""
    cpu = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        text = pathlib.Path("/proc/cpuinfo").read_text()
        found = re.search(r"model name\s*:\s*(.+)", text)
        cpu = found.group(1) if found else cpu
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = [f"chainrule {chainrule.__version__}", f"Python {platform.python_version()}"]
    for name in ("numpy", "torch", "jax", "optax"):
        if name in sys.modules:
            versions.append(f"{name} {sys.modules[name].__version__}")
    isa = chainrule._core.instruction_set()
    return f"{cpu}, {usable} cores usable, kernels for {isa}\n{', '.join(versions)}"


def main(benchmark: Callable[[], None], doc: str, counts: str = "1,2") -> None:
    """Run a benchmark with 1 and with 2 threads: the command line of every script.

    Args:
        benchmark: Calls :func:`compare`.
        doc: The script's docstring.
        counts: Numbers of threads, if they are to be others.
    """
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument(
        "--threads", default=counts, help="numbers of threads (default: %(default)s)"
    )
    parser.add_argument("--json", type=pathlib.Path, help="write all numbers to this file")
    args = parser.parse_args()
    print(machine())
    for count in map(int, args.threads.split(",")):
        with threads(count):
            benchmark()
    if args.json:
        args.json.write_text(json.dumps({"machine": machine(), "results": results}, indent=1))
