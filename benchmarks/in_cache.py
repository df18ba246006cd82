"""What rules compute, without the memory's part: 65,536 floats in the cache, by rule.

A rule whose loop the compiler did not turn into vector instructions stands out here, where on
large tensors it might pass for slow memory.
"""

from __future__ import annotations

import inspect

import common
from chainrule import _core, optimizers
from traced import step

SIZE = 65_536
#: They need products of matrices, or have no step where the gradient never changes.
OTHERS = {"Adafactor", "Muon", "Prodigy", "SOAP"}


def updates():
    """An update of one tensor for every rule that works on elements by themselves."""
    return {
        name: step(make(), 1, SIZE)
        for name, make in inspect.getmembers(optimizers, inspect.isclass)
        if name in set(_core.update_rules()) - OTHERS
    }


def benchmark():
    timings = common.measure(updates(), seconds=0.3)
    least = timings["Adam"].median
    print(f"\n{SIZE:,} floats, {common.thread_count()} thread(s): per element, and to Adam's")
    for name, timing in sorted(timings.items(), key=lambda each: each[1].median):
        print(f"  {name:<22}{1e9 * timing.median / SIZE:6.3f} ns   {timing.median / least:5.2f}")


if __name__ == "__main__":
    common.main(benchmark, __doc__)
