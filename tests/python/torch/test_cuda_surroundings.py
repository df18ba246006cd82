"""PyTorch's parameters on a GPU: rules and hooks in Python, streams, refusals."""

from __future__ import annotations

import re
import sys

import pytest

pytest.importorskip("torch.nn", reason="PyTorch is not installed")

import chainrule
import emulated_device
import torch
from chainrule import optimizer_hooks, optimizers
from chainrule.torch import _streams
from emulated_device import DEVICES, STREAM, marked
from torch_on_gpu import (
    assert_near,
    attach,
    both,
    give_gradients,
    on_both,
    read,
    run,
    streams,
    write,
)

pytestmark = pytest.mark.usefixtures("gpus")


@pytest.mark.skipif(DEVICES > 0, reason="there is a device: the tests run on it")
def test_on_emulated_devices():
    emulated_device.run_tests(__file__)


class Halving(chainrule.UpdateRule):
    def init_state(self, param):
        self.state["n"] = 0

    def update_core_gpu(self, param):
        assert param.tensor.grad is not None
        write(param.tensor, read(param.tensor) / 2)
        self.state["n"] += 1

    update_core_cpu = update_core_gpu


@marked
def test_rules_and_hooks_in_python_have_the_tensor():
    there, here, optimizer, _ = both(lambda: optimizers.SGD(1.0), [(3,), (4,)])
    rule = Halving()
    there["p0"].update_rule = rule
    seen = []

    class Doubling:
        name, timing, call_for_each_param = "Doubling", "pre", True

        def __call__(self, rule, param):
            seen.append(param.name)
            write(param.tensor.grad, 2 * read(param.tensor.grad))

    optimizer.add_hook(Doubling())
    give_gradients(there, here, 0)
    optimizer.step()
    assert seen == ["p0", "p1"]
    assert torch.equal(read(there["p0"]), here["p0"].detach() / 2)
    assert_near({"p1": there["p1"]}, {"p1": here["p1"] - 2 * here["p1"].grad}, 1e-6)
    assert rule.state["n"] == 1


@marked
def test_without_cupy_an_error_says_what_there_is_instead(monkeypatch):
    there, here, optimizer, _ = both(lambda: optimizers.SGD(1.0), [(3,), (4,)])
    monkeypatch.setitem(sys.modules, "cupy", None)
    before = read(there["p0"])
    for member, instead in (("array", "param.tensor"), ("grad", "param.tensor.grad")):
        optimizer.add_hook(lambda rule, param, m=member: getattr(param, m), name="look")
        optimizer.native._hooks().pre["look"].call_for_each_param = True
        give_gradients(there, here, 0)
        with pytest.raises(RuntimeError, match=rf"p0 is on cuda:0.* use {instead}, or"):
            optimizer.step()
        optimizer.remove_hook("look")
    assert torch.equal(read(there["p0"]), before)
    assert optimizer.t == 0


# Streams


def assert_ours_waits_first(seen):
    assert seen[:2] == [
        f"cuda:0: event 1 in stream {STREAM}",
        "cuda:0: stream 1 waits for event 1",
    ]


def assert_theirs_waits_last(seen):
    event = re.fullmatch(r"cuda:0: (event \d+) in stream 1", seen[-2])
    assert event is not None, seen
    assert seen[-1] == f"cuda:0: stream {STREAM} waits for {event[1]}"


@marked
def test_streams_wait_for_each_other():
    there, here, optimizer, reference = both(optimizers.Adam, [(3,), (400,)])
    run(there, here, optimizer, reference, 2)
    with emulated_device.calls() as seen:
        optimizer.step()
    assert not [call for call in seen if str(STREAM) in call]
    streams[0] = STREAM
    with emulated_device.calls() as seen:
        optimizer.step()
    assert_ours_waits_first(seen)
    assert_theirs_waits_last(seen)
    assert not [call for call in seen if "host waits" in call and "event" not in call]
    for around in (optimizer.averaged, optimizer.transaction):
        with emulated_device.calls() as seen, around():
            pass
        assert_ours_waits_first(seen)
        assert_theirs_waits_last(seen)


@marked
def test_streams_wait_when_a_step_fails():
    there, here, optimizer, reference = both(optimizers.Adam, [(3,), (400,)])
    run(there, here, optimizer, reference, 1)
    streams[0] = STREAM

    def fails(optimizer):
        assert _streams.current_stream(0) == 0, "hooks work on our stream"
        raise ArithmeticError

    give_gradients(there, here, 1)
    optimizer.add_hook(fails, name="fails", timing="pre")
    with emulated_device.calls() as seen, pytest.raises(ArithmeticError):
        optimizer.step()
    assert_ours_waits_first(seen)
    assert_theirs_waits_last(seen)
    assert all(p.update_rule is not None for p in there.values())
    assert optimizer._params[0].grad_var is None
    assert _streams.current_stream(0) == STREAM
    optimizer.remove_hook("fails")
    optimizer.step()
    assert optimizer.t == 2


def between(seen):
    """Say who waits for whom of the two, in order."""
    ours = r"cuda:0: (event \d+) in stream 1\ncuda:0: stream {0} waits for \1$"
    theirs = r"cuda:0: (event \d+) in stream {0}\ncuda:0: stream 1 waits for \1$"
    text = "\n".join(seen)
    found = [(m.start(), "theirs waits") for m in re.finditer(ours.format(STREAM), text, re.M)]
    found += [(m.start(), "ours waits") for m in re.finditer(theirs.format(STREAM), text, re.M)]
    return [who for _, who in sorted(found)]


@marked
def test_streams_wait_around_closures():
    there, here, optimizer, _ = both(lambda: optimizers.SGD(0.1), [(3,), (400,)])
    optimizer.add_hook(optimizer_hooks.SAM(0.5))
    streams[0] = STREAM
    calls = []

    def closure():
        assert _streams.current_stream(0) == STREAM, "the caller's own"
        if len(calls) == 3:
            raise ArithmeticError
        give_gradients(there, here, len(calls))
        calls.append(0)

    given = ["theirs waits", "ours waits", "ours waits"]  # gradients and parameters, to and fro
    with emulated_device.calls() as seen:
        optimizer.step(closure)
    assert between(seen) == ["ours waits", *given, *given, "theirs waits", "theirs waits"]
    with emulated_device.calls() as seen, pytest.raises(ArithmeticError):
        optimizer.step(closure)
    assert between(seen) == ["ours waits", *given, "theirs waits", "ours waits", "theirs waits"]


# Refusals


@marked
def test_a_graph_that_is_being_captured(monkeypatch):
    there, here, optimizer, reference = both(optimizers.Adam, [(3,)])
    give_gradients(there, here, 0)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    with pytest.raises(RuntimeError, match="step: a CUDA graph is being captured"):
        optimizer.step()
    assert optimizer.t == 0
    reference.step()  # on the CPU nothing is in the way


@marked
def test_devices_that_cannot_be_used(monkeypatch):
    core = chainrule._core
    there, _ = on_both([(3,)])
    monkeypatch.setattr(core, "cuda_device_count", lambda: 0)
    with pytest.raises(
        TypeError, match=r"\] p0 is on a device.*got cuda:0, expected one of the 0 GPUs"
    ):
        attach(there, optimizers.SGD())
    monkeypatch.setattr(core, "cuda_status", lambda: (False, "there is no driver"))
    with pytest.raises(
        TypeError, match=r"\] p0 .*got cuda:0, and CUDA is not .*: there is no driver"
    ):
        attach(there, optimizers.SGD())
    there["p0"].requires_grad_(False)
    with pytest.raises(ValueError, match="no parameters"):
        attach(there, optimizers.SGD())


@marked
def test_a_gradient_elsewhere():
    there, here, optimizer, _ = both(optimizers.SGD, [(3,), (4,)])
    give_gradients(there, here, 0)
    before = read(there["p0"])
    there["p1"].data = torch.zeros(4)
    with pytest.raises(TypeError, match=r"p1.*another device"):
        optimizer.step()
    assert torch.equal(read(there["p0"]), before)
    assert optimizer._params[0].grad_var is None
