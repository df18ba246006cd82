"""Optimizers of several threads, with nothing in common or with everything that may be."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import chainrule
import chainrule.functions as F
from chainrule import optimizer_hooks, optimizers, schedules

THREADS = 4
#: More elements than an update with the interpreter's lock has.
LARGE = 1_100_000


class Counting:
    """A hook in Python that everybody shares."""

    name, timing, call_for_each_param = "counting", "pre", True

    def __call__(self, rule, param):
        param.grad *= np.float32(0.5)


class Shared:
    """What optimizers may have in common."""

    def __init__(self) -> None:
        self.rate = schedules.warmup(3) * schedules.cosine(0.1, 0.01, 20)
        self.switch = schedules.every(2)
        self.parent = optimizers.Adam(alpha=schedules.linear(0.1, 0.0, 50))
        self.hooks = [
            optimizer_hooks.WeightDecay(0.01),
            optimizer_hooks.GradientClipping(1.0),
            optimizer_hooks.EMA(0.5),
            optimizer_hooks.Lookahead(0.5, 3),
            Counting(),
        ]
        self.sam = optimizer_hooks.SAM(0.1)


def make(seed: int, shared: Shared, size: int) -> optimizers.SGD:
    rng = np.random.RandomState(seed)
    link = chainrule.Link()
    with link.init_scope():
        for name, shape in (("a", (size,)), ("b", (3, 4)), ("c", (7,)), ("d", (5,))):
            value = rng.normal(size=shape).astype(np.float32)
            setattr(link, name, chainrule.Parameter(value))
    optimizer = optimizers.SGD(lr=shared.rate).setup(link)
    optimizer.rules["/b"].use(shared.parent)
    optimizer.rules["/c"].enabled = shared.switch
    optimizer.rules["/d"].add_hook(shared.hooks[-1])
    return optimizer


def train(optimizer, seed: int, steps: int, sam: bool) -> None:
    rng = np.random.RandomState(100 + seed)
    link = optimizer.target
    for _ in range(steps):
        grads = {p.name: rng.normal(size=p.shape).astype(np.float32) for p in link.params()}
        if sam:
            optimizer.update(lambda: sum(F.sum(p * p * grads[p.name]) for p in link.params()))  # noqa: B023
            continue
        for param in link.params():
            param.grad = grads[param.name]
        optimizer.update()


def bits(optimizer) -> list[bytes]:
    found = [np.int64(optimizer.t).tobytes()]
    for param in optimizer.target.params():
        rule = param.update_rule
        states = [*(rule.state or {}).values(), *rule._hook_states.get("EMA", {}).values()]
        found += [each.tobytes() for each in (param.array, *states)]
    return found


def together(works) -> None:
    failures = []
    barrier = threading.Barrier(len(works))

    def run(work) -> None:
        try:
            barrier.wait(30)
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    assert failures == []


@pytest.mark.slow
@pytest.mark.parametrize("hooks", ["none", "in the sweep", "in Python", "SAM"])
@pytest.mark.parametrize("size", [100, LARGE])
@pytest.mark.parametrize("common", [False, True])
def test_every_optimizer_goes_its_own_way(common, size, hooks):
    steps = 2 if size == LARGE else 30

    def all_of_them() -> list[optimizers.SGD]:
        one = Shared()
        made = []
        for seed in range(THREADS):
            shared = one if common else Shared()
            made.append(make(seed, shared, size))
            chosen = {"none": [], "in the sweep": shared.hooks[:4], "in Python": shared.hooks}
            for hook in chosen.get(hooks, [shared.sam]):
                made[-1].add_hook(hook)
        return made

    alone, threaded = all_of_them(), all_of_them()
    for seed, optimizer in enumerate(alone):
        train(optimizer, seed, steps, hooks == "SAM")
    together(
        [
            lambda seed=seed, optimizer=optimizer: train(optimizer, seed, steps, hooks == "SAM")
            for seed, optimizer in enumerate(threaded)
        ]
    )
    for seed, (one, other) in enumerate(zip(alone, threaded, strict=True)):
        assert bits(one) == bits(other), seed


def test_values_above_may_change_while_others_update():
    """Each update sees one of the values, whole."""
    shared = Shared()
    made = [make(seed, shared, 100) for seed in range(THREADS)]
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            for value in (0.25, schedules.constant(0.5), schedules.step * 0.01):
                shared.parent.hyperparam.alpha = value
                shared.hooks[0].rate = 0.5

    changer = threading.Thread(target=change)
    changer.start()
    try:
        together(
            [
                lambda seed=seed, optimizer=optimizer: train(optimizer, seed, 100, False)
                for seed, optimizer in enumerate(made)
            ]
        )
    finally:
        stop.set()
        changer.join()
    for optimizer in made:
        assert np.isfinite(optimizer.target.b.array).all()
