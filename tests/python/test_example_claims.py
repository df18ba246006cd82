"""What the programs in examples/ say of their rules holds: the set-ups, for a few steps."""

from __future__ import annotations

import importlib.util
import pathlib
import sys
import types

import numpy as np
import pytest

import chainrule
import chainrule.functions as F

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"


@pytest.fixture
def load(monkeypatch):
    """Give what imports an example; what that does to the process is undone."""
    pytest.importorskip("matplotlib", reason="the examples draw")
    pytest.importorskip("sklearn", reason="the examples' data come with scikit-learn")
    monkeypatch.setattr(sys, "path", [*sys.path])
    threads = chainrule.num_threads()

    def load(name: str) -> types.ModuleType:
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / name / "train.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield load
    sys.modules.pop("common", None)
    chainrule.set_num_threads(threads)


def copies(link: chainrule.Link) -> dict[str, np.ndarray]:
    return {path: param.array.copy() for path, param in link.namedparams()}


def moved(link: chainrule.Link, start: dict[str, np.ndarray]) -> set[str]:
    """Tell which parameters have other bits than before."""
    now = copies(link)
    return {path for path in start if now[path].tobytes() != start[path].tobytes()}


def step(optimizer: chainrule.Optimizer, net, x, t, loss=F.softmax_cross_entropy) -> None:
    optimizer.update(lambda: loss(net(x), t))


def test_layerwise_decay(load):
    example = load("layerwise_decay")
    x, t = example.common.digits()
    np.random.seed(0)
    net = example.Net()
    optimizer = example.set_up(net, rate=0.01, decay=0.3)
    start = copies(net)
    run = example.common.train(optimizer, net.is_odd, x[:100], t[:100] % 2, epochs=2, seed=0)
    for depth, layer in enumerate(("odd", "l4", "l3", "l2", "l1")):
        assert optimizer.rules[f"/{layer}/W"].hyperparam.alpha == pytest.approx(0.01 * 0.3**depth)
    ratios = [np.mean(run.ratios[f"/{layer}/W"]) for layer in ("l1", "l2", "l3", "l4")]
    assert ratios == sorted(ratios)
    assert ratios[0] < 0.1 * ratios[-1]
    # The head that has no gradient stays as it is, and nothing is written down of it.
    assert moved(net, start) == {path for path in start if not path.startswith("/digit/")}
    assert np.isnan(run.ratios["/digit/W"]).all()
    optimizer.alpha = 1.0
    assert optimizer.rules["/l4/b"].hyperparam.alpha == pytest.approx(0.3)


def test_gradual_unfreezing(load):
    example = load("gradual_unfreezing")
    x, t = example.common.digits()
    net = example.Net(64, 10)
    optimizer = example.set_up(net, "gradual", steps=3)
    expected = {"/head/W", "/head/b"}
    for count in range(12):
        if count and count % 3 == 0:
            layer = f"l{4 - count // 3}"
            expected |= {f"/{layer}/W", f"/{layer}/b"}
        before = copies(net)
        step(optimizer, net.classify, x[:20], t[:20])
        assert moved(net, before) == expected, f"step {count}"
        off = [net.l1, net.l2, net.l3][: 3 - count // 3]
        assert all(param.grad is None for link in off for param in link.params())


def test_muon_and_adamw(load):
    example = load("muon_and_adamw")
    x, t = example.photograph(seed=0)
    nets = []
    for muon in (None, 0.5):
        np.random.seed(0)
        nets.append(example.Net(x.shape[1]))
        optimizer = example.set_up(nets[-1], 0.003, muon, steps=10)
        before = nets[-1].l2.W.array.copy()
        step(optimizer, nets[-1], x[:500], t[:500], F.mean_squared_error)
    alone, mixed = nets
    # What Muon does not have is updated as if AdamW were alone.
    by_muon = {"/l1/W", "/l2/W", "/l3/W"}
    assert moved(mixed, copies(alone)) == by_muon
    rows = optimizer.rules.to_dict()
    assert {path for path, row in rows.items() if row["algorithm"] == "Muon"} == by_muon
    sizes = np.linalg.svd((before - mixed.l2.W.array) / 0.5, compute_uv=False)
    assert 0.5 < np.median(sizes) < 1.3
    sizes_alone = np.linalg.svd((before - alone.l2.W.array) / 0.003, compute_uv=False)
    assert sizes.max() / np.median(sizes) < 2 < 5 < sizes_alone.max() / np.median(sizes_alone)


def test_lora_plus(load):
    example = load("lora_plus")
    x, t = example.common.digits()
    layers = [chainrule.links.Linear(*size) for size in ((64, 32), (32, 32), (32, 10))]
    net = example.sequence(*(example.Adapted(layer, 4) for layer in layers))
    base = example.sequence(*layers)(x[:50]).array
    np.testing.assert_array_equal(net(x[:50]).array, base)
    optimizer = example.set_up(net, 0.003, 16)
    start = copies(net)
    step(optimizer, net, x[:50], t[:50])
    # While B is zero A has no gradient to speak of; Adam's first step is the rate.
    step_of_b = np.abs(net[4].B.W.array)
    np.testing.assert_allclose(step_of_b.max(), 16 * 0.003, rtol=1e-3)
    for _ in range(4):
        step(optimizer, net, x[:50], t[:50])
    assert moved(net, start) == {f"/{i}/{which}/W" for i in range(3) for which in "AB"}


def test_mup(load):
    example = load("mup")
    x, t = example.common.digits()
    x, t = x[:64], t[:64]

    def change(width: int, way: str) -> float:
        """Tell how far the last hidden layer's values go in a step."""
        np.random.seed(0)
        net = example.Net(width, way)
        hidden = lambda: F.relu(net.h2(F.relu(net.h1(F.relu(net.first(x)))))).array  # noqa: E731
        before = hidden()
        optimizer = example.set_up(net, 2.0**-8, way)
        step(optimizer, net, x, t)
        if width == example.BASE:
            ends.append(copies(net))
        return float(np.sqrt(np.mean((hidden() - before) ** 2)))

    ends: list[dict[str, np.ndarray]] = []
    growth = {way: change(512, way) / change(example.BASE, way) for way in example.WAYS}
    assert 1 / 2 < growth["muP"] < 2
    assert growth["uniform"] > 4
    for path in ends[0]:
        np.testing.assert_array_equal(ends[0][path], ends[1][path])
