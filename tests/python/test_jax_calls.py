"""Calls on XLA's memory: the bits of those that copy, errors, and how long what is called lives."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest

import chainrule
from chainrule import _core, optimizer_hooks, optimizers

jax = pytest.importorskip("jax", reason="chainrule.jax is for those who have JAX")
jnp = jax.numpy

_calls = pytest.importorskip("chainrule.jax._calls")
_transformation = pytest.importorskip("chainrule.jax._transformation")
transformation = chainrule.jax.transformation


@pytest.fixture(autouse=True)
def usable():
    if not hasattr(jax, "ffi"):
        pytest.skip("this JAX has no foreign functions; what is done then is test_jax.py's")
    assert _calls.is_usable()


def arrays(seed: int):
    rng = np.random.default_rng(seed)
    shapes = {"w": (64, 5), "b": (3,), "scale": (), "none": (0, 2)}
    return {
        name: jnp.asarray(rng.standard_normal(shape), jnp.bfloat16 if name == "b" else jnp.float32)
        for name, shape in shapes.items()
    }


def bits(tree) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree_util.tree_leaves(tree)]


def trained(make) -> list[bytes]:
    tx = transformation(make())
    params = arrays(0)
    state = tx.init(params)
    update = jax.jit(tx.update)
    for step in range(3):
        updates, state = update(arrays(1 + step), state, params)
    return bits((updates, state))


@pytest.mark.parametrize("make", [optimizers.SGD, optimizers.Adam, optimizers.Prodigy])
def test_bits_are_those_of_calls_that_copy(make, monkeypatch):
    found = trained(make)
    monkeypatch.setattr(_transformation, "is_usable", lambda: False)
    assert trained(make) == found


def test_in_scan_each_step_is_a_call():
    tx = transformation(optimizers.MomentumSGD(lr=0.5))
    params = arrays(0)
    state = tx.init(params)

    def step(state, grads):
        updates, state = tx.update(grads, state, params)
        return state, updates

    several = jax.tree_util.tree_map(lambda *g: jnp.stack(g), *(arrays(1 + i) for i in range(4)))
    end, _ = jax.jit(lambda state: jax.lax.scan(step, state, several))(state)
    for i in range(4):
        _, state = tx.update(arrays(1 + i), state, params)
    assert bits(end) == bits(state)


def test_an_error_says_what_was_raised_and_the_next_call_works():
    broken = True

    def hook(rule, param):
        if broken:
            raise ValueError("no luck with " + param.name)

    tx = transformation(optimizers.SGD(lr=1.0), rules=lambda rules: rules["/w"].add_hook(hook, "h"))
    params = arrays(0)
    state = tx.init(params)
    update = jax.jit(tx.update)
    with pytest.raises(Exception, match="no luck with /w"):
        jax.block_until_ready(update(params, state, params))
    broken = False
    updates, _ = update(params, state, params)
    assert updates["w"].tolist() == (-params["w"]).tolist()


def test_what_a_hook_keeps_is_its_own():
    kept = []
    tx = transformation(
        optimizers.SGD(lr=1.0),
        rules=lambda rules: rules.add_hook(lambda _, p: kept.append((p.name[1:], p.grad)), "keep"),
    )
    params = arrays(0)
    state = tx.init(params)
    update = jax.jit(tx.update)
    for step in range(3):
        grads = arrays(1 + step)
        jax.block_until_ready(update(grads, state, params))
        for name, grad in kept:
            assert np.asarray(grad).tobytes() == np.asarray(grads[name]).tobytes()
        assert len(kept) == 4
        kept.clear()


def test_a_function_that_keeps_an_array_is_refused():
    kept = []
    like = [jax.ShapeDtypeStruct((3,), jnp.float32)]
    call = _calls.Call(lambda given, wanted: kept.extend(given), like, like)
    with pytest.raises(Exception, match="kept after the call"):
        jax.block_until_ready(jax.jit(lambda x: call.trace([x]))(jnp.ones(3)))


def test_what_is_called_lives_as_long_as_the_program():
    tx = transformation(optimizers.SGD(lr=1.0))
    params = arrays(0)
    state = tx.init(params)
    program = jax.jit(tx.update).lower(params, state, params).compile()
    host = weakref.ref(tx.update.__self__)
    del tx
    jax.clear_caches()
    gc.collect()
    updates, _ = program(params, state, params)
    assert updates["w"].tolist() == (-params["w"]).tolist()
    del program, updates, _
    jax.clear_caches()
    gc.collect()
    assert host() is None


def test_a_number_that_nobody_has():
    like = [jax.ShapeDtypeStruct((), jnp.float32)]
    call = _calls.Call(lambda given, wanted: None, like, like)
    call._number ^= 1
    with pytest.raises(Exception, match="transformation of this program is gone"):
        jax.block_until_ready(jax.jit(lambda x: call.trace([x]))(jnp.float32(1)))


def test_programs_in_several_threads():
    params = arrays(0)
    found = {}

    def work(place):
        tx = transformation(optimizers.Adam(alpha=0.1 * (1 + place)))
        state = tx.init(params)
        update = jax.jit(tx.update)
        for step in range(20):
            updates, state = update(arrays(step), state, params)
        found[place] = bits(updates)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place in range(4):
        before = found[place]
        work(place)
        assert found[place] == before


_UNFINISHED = """
import jax, jax.numpy as jnp
import chainrule.jax
from chainrule import optimizers
tx = chainrule.jax.transformation(optimizers.AdamW(alpha=1e-2))
params = {"w": jnp.ones(1_000_000)}
state = tx.init(params)
update = jax.jit(tx.update)
for _ in range(3):
    _, state = update(params, state, params)
    _, state = tx.update(params, state, params)
for _ in range(5):
    _, state = update(params, state, params)
print("done")
"""


def test_programs_that_still_run_hold_up_neither_updates_nor_the_end():
    command = [sys.executable, "-c", _UNFINISHED]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_gradients_are_clipped_without_a_copy():
    """A hook of the table: the gradient is read where XLA has it."""
    tx = transformation(optimizers.SGD(lr=1.0), hooks=[optimizer_hooks.GradientHardClipping(-1, 1)])
    params = {"w": jnp.linspace(-2, 2, 5)}
    state = tx.init(params)
    updates, _ = jax.jit(tx.update)(params, state, params)
    np.testing.assert_allclose(updates["w"], [1, 1, 0, -1, -1], atol=1e-6)
    assert params["w"].tolist() == [-2, -1, 0, 1, 2]


def test_the_target_is_a_capsule():
    before = _calls._receive
    assert type(_core.xla_call_target(before)).__name__ == "PyCapsule"
