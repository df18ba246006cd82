"""States of PyTorch's parameters on a GPU: seen, saved, taken back, moved."""

from __future__ import annotations

import gc

import numpy as np
import pytest

pytest.importorskip("torch.nn", reason="PyTorch is not installed")

import emulated_device
import torch
import torch_on_gpu
from chainrule import optimizer_hooks, optimizers
from emulated_device import DEVICES, in_use, marked
from torch_on_gpu import (
    SHAPES,
    assert_near,
    attach,
    both,
    give_gradients,
    on_both,
    put,
    read,
    run,
    write,
)

pytestmark = pytest.mark.usefixtures("gpus")


@pytest.mark.skipif(DEVICES > 0, reason="there is a device: the tests run on it")
def test_on_emulated_devices():
    emulated_device.run_tests(__file__)


@marked
def test_states_are_tensors_on_the_rules_memory():
    there, here, optimizer, reference = both(optimizers.Adam)
    run(there, here, optimizer, reference, 2)
    state = optimizer.state[there["p0"]]
    assert state["step"] == 2
    m = state["m"]
    assert m.shape == (5, 7)
    assert m.data_ptr() == optimizer.state[there["p0"]]["m"].data_ptr()
    np.testing.assert_array_equal(read(m).numpy(), there["p0"].update_rule.state["m"])
    assert not there["p0"].update_rule.state["m"].flags.writeable
    write(m, torch.zeros(5, 7))
    assert not there["p0"].update_rule.state["m"].any()
    there["p0"].update_rule.state["m"] = (
        put(torch.ones(5, 7))
        if not emulated_device.is_used()
        else (emulated_device.there(np.ones((5, 7), np.float32)))
    )
    assert (read(m) == 1).all()
    run(there, here, optimizer, reference, 1)
    assert (read(m) != 1).all()
    table = str(optimizer.rules)
    assert "280 B" in table
    assert optimizer.plan().to_dict()


@marked
@pytest.mark.parametrize("state_dtype", [None, "int8"])
@pytest.mark.parametrize("half", [False, True])
def test_checkpoints_go_from_device_to_device(state_dtype, half):
    def make(params):
        optimizer = attach(params, optimizers.AdamW(1e-2))
        optimizer.rules.state_dtype = state_dtype
        optimizer.rules.fp32_update = half
        return optimizer

    dtype = torch.bfloat16 if half else torch.float32
    there, here = on_both(SHAPES, dtype)
    optimizer, reference = make(there), make(here)
    run(there, here, optimizer, reference, 3)
    there2, here2 = on_both(SHAPES, dtype)
    for name in here2:
        here2[name].data.copy_(read(there[name]))
        write(there2[name], here[name].detach())
    optimizer2, reference2 = make(there2), make(here2)
    optimizer2.load_state_dict(reference.state_dict())
    reference2.load_state_dict(optimizer.state_dict())
    run(there, here, optimizer, reference, 3, first=3)
    run(there2, here2, optimizer2, reference2, 3, first=3)
    tolerance = 1e-6 if dtype == torch.float32 and state_dtype is None else 1e-2
    assert_near(there2, here, tolerance)
    assert_near(there, here2, tolerance)
    # Over states that are there.
    optimizer2.load_state_dict(optimizer.state_dict())
    for name, p in there.items():
        for key, value in p.update_rule.state.items():
            np.testing.assert_array_equal(value, there2[name].update_rule.state[key])


@marked
def test_a_checkpoint_that_does_not_fit_changes_nothing():
    there, here, optimizer, reference = both(optimizers.Adam)
    run(there, here, optimizer, reference, 2)
    saved = optimizer.state_dict()
    run(there, here, optimizer, reference, 1, first=2)
    before = {name: dict(p.update_rule.state) for name, p in there.items()}
    saved["state"]["p5"]["m"] = torch.zeros(3)
    with pytest.raises(ValueError, match="another shape"):
        optimizer.load_state_dict(saved)
    assert there["p0"].update_rule.t == 3
    for name, p in there.items():
        for key, value in before[name].items():
            np.testing.assert_array_equal(p.update_rule.state[key], value)


@marked
def test_a_state_dict_of_torch_optim():
    there, here = on_both(SHAPES)
    theirs = torch.optim.AdamW(here.items(), lr=1e-2)
    for step in range(3):
        give_gradients(there, here, step)
        theirs.step()
    for name, p in here.items():
        write(there[name], p.detach())
    optimizer = attach(there, optimizers.AdamW(0.5))
    optimizer.load_state_dict(theirs.state_dict())
    run(there, here, optimizer, theirs, 5, first=3)
    assert_near(there, here, 1e-5)


@marked
def test_a_transaction_takes_steps_back():
    there, here, optimizer, reference = both(lambda: optimizers.Adam(1e-1))
    optimizer.add_hook(optimizer_hooks.EMA(0.5))
    run(there, here, optimizer, reference, 2)
    before = {name: read(p) for name, p in there.items()}
    states = {name: dict(p.update_rule.state) for name, p in there.items()}

    def fails():
        with optimizer.transaction():
            run(there, here, optimizer, reference, 2)
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        fails()
    with optimizer.transaction() as transaction:
        optimizer.step()
        transaction.rollback()
    assert optimizer.t == 2
    for name, p in there.items():
        assert torch.equal(read(p), before[name])
        for key, value in states[name].items():
            np.testing.assert_array_equal(p.update_rule.state[key], value)


@marked
def test_states_can_wait_in_the_hosts_memory():
    there, here, optimizer, reference = both(lambda: optimizers.Adam(1e-2), dtype=torch.bfloat16)
    for each in (optimizer, reference):
        each.rules.fp32_update = True
    run(there, here, optimizer, reference, 2)
    used = in_use()
    optimizer.rules.enabled = False
    for rule in optimizer.rules:
        rule.park("host")
    assert in_use() < used
    assert isinstance(optimizer.state[there["p0"]]["m"], torch.Tensor)
    optimizer.rules.enabled = True
    run(there, here, optimizer, reference, 2, first=2)
    assert_near(there, here, torch.finfo(torch.bfloat16).eps)


@marked
@pytest.mark.parametrize("half", [False, True])
def test_states_follow_their_parameters(half):
    dtype = torch.float16 if half else torch.float32
    there, here, optimizer, reference = both(lambda: optimizers.Adam(1e-2), dtype=dtype)
    for each in (optimizer, reference):
        each.rules.fp32_update = half
        each.add_hook(optimizer_hooks.EMA(0.5))
    run(there, here, optimizer, reference, 3)
    places = [None, 0] if DEVICES < 2 else [None, 0, 1, 0]
    for i, gpu in enumerate(places):
        for p in there.values():
            p.data = read(p) if gpu is None else put(read(p), gpu)
            p.grad = None
        with pytest.raises(TypeError, match=r"p0 was moved to another device .*reattach"):
            optimizer.step()
        optimizer.reattach()
        assert optimizer._gpus == ([] if gpu is None else [gpu])
        held = optimizer.state[there["p0"]]["m"]
        assert (
            torch_on_gpu._gpu_of(held) if emulated_device.is_used() else held.device.index
        ) == gpu
        run(there, here, optimizer, reference, 2, first=3 + 2 * i)
        assert_near(there, here, 1e-5 if not half else torch.finfo(dtype).eps)
        with optimizer.averaged(), reference.averaged():
            assert_near(there, here, 1e-5 if not half else torch.finfo(dtype).eps)


@marked
def test_memory_is_given_back():
    there, here = on_both([(1000,), (300, 7)])
    gc.collect()
    before = in_use()
    optimizer = attach(there, optimizers.Adam())
    optimizer.add_hook(optimizer_hooks.EMA(0.9))
    steady = 0
    for step in range(15):
        if step == 5:
            steady = in_use()
            assert steady > before
        give_gradients(there, here, step)
        optimizer.step()
        _ = optimizer.state[there["p0"]]["m"], optimizer.state_dict()
        with optimizer.averaged():
            pass
        del _
        optimizer.zero_grad()
    assert in_use() == steady
    optimizer.detach()
    del optimizer
    for p in there.values():
        p.grad = None
    # What is left are the tables of the kernels.
    assert in_use() - before < 1 << 16
