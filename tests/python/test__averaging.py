"""Parameters that hold their averages for a while."""

from __future__ import annotations

import copy
import threading
import time

import ml_dtypes
import numpy as np
import pytest

import chainrule
from chainrule import optimizers, serializers
from small_links import make_link

RULES = ("ScheduleFreeSGD", "ScheduleFreeAdamW")


def trained(name: str, dtype: type = np.float32, fp32: bool = False):
    link = chainrule.Link()
    rng = np.random.RandomState(0)
    with link.init_scope():
        for key, shape in (("a", (3, 4)), ("b", (5,))):
            setattr(link, key, chainrule.Parameter(rng.uniform(-1, 1, shape).astype(dtype)))
    optimizer = getattr(optimizers, name)()
    if fp32:
        optimizer.use_fp32_update()
    optimizer.setup(link)
    train(optimizer, range(7))
    return link, optimizer


def train(optimizer, steps: range) -> None:
    for step in steps:
        rng = np.random.RandomState(step)
        for param in optimizer.target.params():
            param.grad = rng.uniform(-1, 1, param.shape).astype(param.dtype)
        optimizer.update()


def held(link) -> list[bytes]:
    return [param.array.tobytes() for param in link.params()]


@pytest.mark.parametrize("fp32", [False, True])
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
@pytest.mark.parametrize("name", RULES)
def test_a_block_changes_no_bit_of_the_training(name, dtype, fp32):
    link, optimizer = trained(name, dtype, fp32)
    other, undisturbed = trained(name, dtype, fp32)
    before, arrays = held(link), [param.array for param in link.params()]
    with optimizer.averaged():
        for param in link.params():
            x = param.update_rule.state["x"]
            assert param.array.tobytes() == x.astype(param.dtype).tobytes()
        assert held(link) != before
    assert held(link) == before
    assert all(a is param.array for a, param in zip(arrays, link.params(), strict=True))
    train(optimizer, range(7, 10))
    train(undisturbed, range(7, 10))
    assert held(link) == held(other)


@pytest.mark.parametrize("name", RULES)
def test_x_is_the_weighted_mean_of_the_points_z(name):
    link, optimizer = trained(name, np.float64)
    rule = link.b.update_rule
    points, weights, rates = [], [], [0.3, 0.1, 0.5, 0.2]
    start, total = rule.state["x"].copy(), rule._scalars["weight_sum"]
    largest = rule._scalars["max_rate"]
    for step, rate in enumerate(rates, start=8):
        setattr(optimizer, "lr" if name.endswith("SGD") else "alpha", rate)
        train(optimizer, range(step, step + 1))
        largest = max(largest, rate)
        points.append(rule.state["z"].copy())
        weights.append(largest**2)
    mean = (total * start + sum(w * z for w, z in zip(weights, points, strict=True))) / (
        total + sum(weights)
    )
    np.testing.assert_allclose(rule.state["x"], mean, rtol=1e-13)
    beta = 0.9
    y = (1 - beta) * rule.state["z"] + beta * rule.state["x"]
    np.testing.assert_allclose(link.b.array, y, rtol=1e-13, atol=1e-15)


def test_an_exception_puts_everything_back():
    link, optimizer = trained("ScheduleFreeSGD")
    before, array = held(link), link.a.array

    def disturb():
        with optimizer.averaged():
            link.a.array[...] = 7
            link.b.array = np.zeros(5, np.float32)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        disturb()
    assert held(link) == before
    assert link.a.array is array
    train(optimizer, range(1))


def test_a_block_in_a_block_changes_nothing():
    link, optimizer = trained("ScheduleFreeAdamW")
    before = held(link)
    with optimizer.averaged():
        outer = held(link)
        with optimizer.averaged():
            assert held(link) == outer
        assert held(link) == outer
        with pytest.raises(RuntimeError, match=r"leave the block of averaged\(\) first"):
            optimizer.update()
        assert held(link) == outer
    assert held(link) == before


def test_nobody_updates_an_average():
    """Neither another optimizer nor the rule by itself."""
    link, optimizer = trained("ScheduleFreeSGD")
    link.b.update_rule.add_hook(lambda rule, param: None, "in Python")
    other = optimizers.SGD()
    other.target, other._hookable = link, optimizer._hookable
    before = held(link)
    with optimizer.averaged():
        average = held(link)
        for attempt in (other.update, link.a.update, link.b.update):
            with pytest.raises(RuntimeError, match="holds its average: leave the block"):
                attempt()
            assert held(link) == average
    assert held(link) == before
    for attempt in (other.update, link.a.update, link.b.update):
        attempt()


def test_an_array_that_became_read_only_is_given_up():
    link, optimizer = trained("ScheduleFreeSGD")
    before = held(link)
    with optimizer.averaged():
        link.a.array.flags.writeable = False
    assert held(link) == before
    train(optimizer, range(1))


def test_only_what_has_an_average_changes():
    link = make_link(a=2, b=2, c=2)
    optimizer = optimizers.SGD(lr=1).setup(link)
    link.b.update_rule = optimizers.ScheduleFreeSGD(lr=1.0).create_update_rule()
    with optimizer.averaged():  # before the first update there is no average
        assert link.b.array.tolist() == [0, 0]
    for _ in range(2):
        optimizer.update()
    link.b.update_rule.enabled = False
    with optimizer.averaged():
        assert link.a.array.tolist() == [-2, -2]
        assert link.b.array.tolist() == [-1.5, -1.5]
    np.testing.assert_allclose(link.b.array, [-1.55, -1.55])


class Doubling:
    """A hook whose average is twice the parameter."""

    name = "Doubling"
    call_for_each_param = True

    def __call__(self, rule, param):
        pass

    def averaged_value(self, rule, param):
        return None if param.name == "c" else 2 * param.array


@pytest.mark.parametrize("on_rule", [False, True])
def test_hooks_may_have_the_average(on_rule):
    link = make_link(a=2, b=2, c=2)
    optimizer = optimizers.ScheduleFreeSGD(lr=1.0).setup(link)
    (link.a.update_rule if on_rule else optimizer).add_hook(Doubling())
    for _ in range(2):
        optimizer.update()
    y = link.a.array.copy()
    with optimizer.averaged():
        np.testing.assert_array_equal(link.a.array, 2 * y)
        np.testing.assert_array_equal(link.b.array, [-1.5, -1.5] if on_rule else 2 * y)
        np.testing.assert_array_equal(link.c.array, [-1.5, -1.5])


def test_refusals_change_nothing():
    with pytest.raises(RuntimeError, match="not set up"), optimizers.SGD().averaged():
        pass
    link = make_link(a=2, b=2)
    optimizer = optimizers.ScheduleFreeSGD(lr=1.0).setup(link)
    optimizer.update()
    hook = Doubling()
    hook.averaged_value = lambda rule, param: np.zeros(3) if param.name == "b" else None
    optimizer.add_hook(hook)
    before = held(link)
    with (
        pytest.raises(ValueError, match=r"/b: average of the wrong shape: got \(3,\), exp"),
        optimizer.averaged(),
    ):
        pass
    optimizer.remove_hook("Doubling")
    link.b.array.flags.writeable = False
    with pytest.raises(ValueError, match=r"/b: the parameter's array is read-only"):
        optimizer.averaged().__enter__()
    link.b.array.flags.writeable = True
    assert held(link) == before
    optimizer.update()


def test_files_and_copies_made_in_a_block(tmp_path):
    link, optimizer = trained("ScheduleFreeSGD")
    with optimizer.averaged():
        serializers.save_npz(tmp_path / "x.npz", link)
        other = copy.deepcopy(optimizer)
    with np.load(tmp_path / "x.npz") as file:
        np.testing.assert_array_equal(file["a"], link.a.update_rule.state["x"])
    train(other, range(1))


def ones(**shapes):
    link = make_link(**shapes)
    for param in link.params():
        param.array[...], param.grad = 1, np.ones_like(param.array)
    return link


@pytest.mark.parametrize("python", [False, True])
def test_updates_and_averages_in_several_threads(python):
    """Whoever comes second is refused, so that no update is lost and no value is half old."""
    link = ones(**{f"p{i}": 3000 for i in range(30)})
    optimizer = optimizers.ScheduleFreeSGD(lr=1e-3).setup(link)
    if python:
        link.p3.update_rule.add_hook(lambda rule, param: None, name="mine")
    optimizer.update()
    counts, odd, deadline = [0, 0], [], time.monotonic() + 1

    def update():
        while time.monotonic() < deadline:
            try:
                optimizer.update()
                counts[0] += 1
            except RuntimeError as error:
                if "average" not in str(error):
                    odd.append(error)

    def average():
        while time.monotonic() < deadline:
            try:
                with optimizer.averaged():
                    if len({param.array[0].tobytes() for param in link.params()}) != 1:
                        odd.append("several averages")
                counts[1] += 1
            except RuntimeError as error:
                if "updating in another thread" not in str(error):
                    odd.append(error)

    threads = [threading.Thread(target=target) for target in (update, average, average)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert odd == []
    assert min(counts) > 0
    assert optimizer.t == counts[0] + 1
    alone = ones(w=3000)
    other = optimizers.ScheduleFreeSGD(lr=1e-3).setup(alone)
    for _ in range(optimizer.t):
        other.update()
    for param in link.params():
        np.testing.assert_array_equal(param.array, alone.w.array)


def test_blocks_that_overlap_end_with_the_last():
    link = ones(w=2)
    optimizer = optimizers.ScheduleFreeSGD(lr=0.5).setup(link)
    for _ in range(2):
        optimizer.update()
    before = link.w.array.copy()
    first, second = optimizer.averaged(), optimizer.averaged()
    first.__enter__()
    average = link.w.array.copy()
    second.__enter__()
    first.__exit__(None, None, None)
    np.testing.assert_array_equal(link.w.array, average)
    with pytest.raises(RuntimeError, match="parameters hold their averages"):
        optimizer.update()
    second.__exit__(None, None, None)
    np.testing.assert_array_equal(link.w.array, before)
    assert not np.array_equal(average, before)
    optimizer.update()
