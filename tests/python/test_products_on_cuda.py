"""Products of matrices on a GPU, and the rules for whole tensors that are made of them.

On a machine without a GPU the tests run on the emulated devices, in a process of their own.
"""

from __future__ import annotations

import os
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest

import chainrule
import chainrule.functions as F
import emulated_device
from chainrule import Parameter, Variable, optimizer_hooks, optimizers
from chainrule.info import runtime_info
from emulated_device import DEVICES, back, marked, there


@pytest.mark.skipif(DEVICES > 0, reason="there is a device: the tests run on it")
def test_on_emulated_devices():
    emulated_device.run_tests(__file__)


def there_and_here(arrays):
    """Give variables on the GPU, and the same ones on the CPU."""
    return [there(x) for x in arrays], [Variable(x.copy()) for x in arrays]


def noise(shape, dtype=np.float32, seed=0):
    return np.random.RandomState(seed).randn(*shape).astype(dtype)


TOLERANCE = {"e": 2e-3, "f": 2e-6, "d": 1e-13, "bfloat16": 2e-2}


def check(found, expected, dtype, scale=1.0):
    name = np.dtype(dtype).name if dtype is ml_dtypes.bfloat16 else dtype
    room = TOLERANCE[name] * scale
    for x, y in zip(found, expected, strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_allclose(
            back(x).astype("d"), y.array.astype("d"), rtol=room, atol=room * 10
        )


@marked
@pytest.mark.parametrize("dtype", ["e", "f", "d", ml_dtypes.bfloat16])
@pytest.mark.parametrize(
    ("a", "b", "options"),
    [
        ((3, 5), (5, 4), {}),
        ((5, 3), (5, 4), {"transa": True}),
        ((3, 5), (4, 5), {"transb": True}),
        ((5,), (5, 4), {}),
        ((2, 3, 5), (5,), {}),
        ((2, 1, 3, 5), (4, 5, 6), {}),
        ((2, 3, 5), (5, 4), {}),
        ((0, 5), (5, 4), {}),
        ((3, 0), (0, 4), {}),
    ],
)
def test_matmul(a, b, options, dtype):
    results = []
    for x, w in there_and_here([noise(a, dtype), noise(b, dtype, 1)]):
        y = F.matmul(x, w, **options)
        grad = noise(y.shape, dtype, 2)
        y.grad = there(grad) if y.__dlpack_device__()[0] == 2 else Variable(grad)
        y.backward()
        results.append([y, x.grad_var, w.grad_var])
    check(*results, dtype)


@marked
@pytest.mark.parametrize("dtype", ["e", "f", "d", ml_dtypes.bfloat16])
@pytest.mark.parametrize("bias", [False, True])
def test_linear_and_its_gradients(bias, dtype):
    arrays = [noise((6, 5), dtype), noise((4, 5), dtype, 1)]
    if bias:
        arrays.append(noise((4,), dtype, 3))
    results = []
    for given in there_and_here(arrays):
        y = F.tanh(F.linear(*given))
        loss = F.sum(y * y)
        loss.backward()
        results.append([loss, y, *(x.grad_var for x in given)])
    check(*results, dtype, scale=10)


@marked
def test_gradients_of_gradients():
    results = []
    for x, w in there_and_here([noise((3, 4), "d"), noise((5, 4), "d", 1)]):
        y = F.sum(F.tanh(F.linear(x, w)))
        (gx,) = chainrule.grad([y], [x], enable_double_backprop=True)
        F.sum(gx * gx).backward()
        results.append([gx, x.grad_var, w.grad_var])
    check(*results, "d", scale=10)


@marked
def test_of_different_devices_and_of_integers():
    v = there(noise((2, 2)))
    with pytest.raises(TypeError, match=r"\[matmul\] arrays on different devices"):
        F.matmul(v, Variable(noise((2, 2))))
    w = there(np.ones((2, 2), np.int64))
    with pytest.raises(NotImplementedError, match=r"\[gemm\] no kernel: got cuda:0 int64"):
        F.matmul(w, w)


@marked
@pytest.mark.parametrize("dtype", ["e", "f", "d", ml_dtypes.bfloat16, "i4", "?"])
def test_reductions(dtype):
    x = (noise((5, 3, 4)) * 3).astype(dtype)
    for axis in (None, 0, 1, (0, 2), -1):
        for f in (F.sum, F.max, F.min):
            if f is not F.sum and dtype == "?":
                continue
            found, expected = f(there(x), axis=axis), f(Variable(x), axis=axis)
            assert found.dtype == expected.dtype
            np.testing.assert_allclose(
                back(found).astype("d"),
                expected.array.astype("d"),
                rtol=1e-2 if x.dtype.itemsize == 2 else 1e-6,
            )


@marked
@pytest.mark.parametrize("f", [F.sum, F.mean, F.max, F.min, F.logsumexp])
def test_gradients_of_reductions(f):
    results = []
    for (x,) in there_and_here([noise((3, 4, 5))]):
        y = f(x, axis=1)
        F.sum(y * y).backward()
        results.append([y, x.grad_var])
    check(*results, "f", scale=10)


SHAPES = [(6, 4), (4, 6), (5, 5), (6, 4), (3,), (2, 3, 4)]


def train(place, make, dtype, shapes, steps=5, hooks=()):
    """Run an optimizer over parameters on a device; give them back as NumPy's."""
    rng = np.random.RandomState(0)
    start = [rng.randn(*shape).astype(dtype) for shape in shapes]
    memory = [place(x) for x in start]
    link = chainrule.ChainList(*(chainrule.Link() for _ in memory))
    for child, x in zip(link, memory, strict=True):
        with child.init_scope():
            child.p = Parameter.from_dlpack(x)
    optimizer = make().setup(link)
    for hook in hooks:
        optimizer.add_hook(hook())
    for _ in range(steps):
        for child, shape in zip(link, shapes, strict=True):
            child.p.grad = place(rng.randn(*shape).astype(dtype))
        optimizer.update()
    device = link[0].p.__dlpack_device__()[0]
    states = [
        {name: np.array(value) for name, value in (child.p.update_rule.state or {}).items()}
        for child in link
    ]
    return device, [back(x) for x in memory], states


def same(make, dtype, shapes, rtol, atol, **options):
    there_device, found, states = train(there, make, dtype, shapes, **options)
    here_device, expected, expected_states = train(
        lambda x: Variable(x.copy()), make, dtype, shapes, **options
    )
    assert (there_device, here_device) == (2, 1)
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_allclose(x, y, rtol=rtol, atol=atol)
    for x, y in zip(states, expected_states, strict=True):
        assert x.keys() == y.keys()
        for name in x:
            np.testing.assert_allclose(
                np.abs(x[name]), np.abs(y[name]), rtol=100 * rtol, atol=100 * atol, err_msg=name
            )


@marked
@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"nesterov": False, "momentum": 0.8},
        {"ns_steps": 0},
        {"ns_steps": 3, "match_rms_adamw": True, "weight_decay": 0.1},
    ],
)
def test_muon(dtype, options):
    rtol = 1e-4 if dtype == "f" else 1e-10
    shapes = [s for s in SHAPES if len(s) == 2]
    same(lambda: optimizers.Muon(**options), dtype, shapes, rtol, rtol)


@marked
def test_muon_with_flattened_kernels_hooks_and_statistics():
    same(
        lambda: optimizers.Muon(flatten=True),
        "f",
        [(6, 4), (4, 3, 2, 2)],
        1e-4,
        1e-4,
        hooks=[
            lambda: optimizer_hooks.GradientClipping(0.5),
            lambda: optimizer_hooks.WeightDecay(0.1),
        ],
    )


@marked
def test_muon_in_bfloat16():
    shapes = [(24, 16), (16, 24), (24, 16)]
    _, found, _ = train(there, lambda: optimizers.Muon(ns_bfloat16=True, lr=0.1), "f", shapes)
    _, exact, _ = train(lambda x: Variable(x.copy()), lambda: optimizers.Muon(lr=0.1), "f", shapes)
    _, start, _ = train(there, lambda: optimizers.Muon(), "f", shapes, steps=0)
    for x, y, before in zip(found, exact, start, strict=True):
        off = np.linalg.norm(x - y) / np.linalg.norm(y - before)
        assert 1e-4 < off < 0.03


@marked
@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("options", [{}, {"beta1": 0.9, "scale_parameter": False}])
def test_adafactor(dtype, options):
    rtol = 1e-5 if dtype == "f" else 1e-12
    same(lambda: optimizers.Adafactor(**options), dtype, SHAPES, rtol, rtol)


@marked
@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("every", [1, 2, 10])
def test_soap(dtype, every):
    # Only bases of full rank: others are anybody's choice. These are, but for signs, which cancel.
    def make():
        return optimizers.SOAP(precondition_frequency=every, max_precondition_dim=4)

    rtol = 1e-3 if dtype == "f" else 1e-9
    same(make, dtype, [(6, 4), (4, 6), (4, 4), (3,), (2, 3, 4)], rtol, rtol)


@marked
def test_muon_does_not_wait_for_the_device():
    """Norms stay there: what the host waits for is the memory that tables are written to."""
    shapes = [(6, 4), (4, 6), (5, 5)]
    memory = [there(noise(shape)) for shape in shapes]
    link = chainrule.ChainList(*(chainrule.Link() for _ in memory))
    for child, x in zip(link, memory, strict=True):
        with child.init_scope():
            child.p = Parameter.from_dlpack(x)
        child.p.grad = there(noise(x.shape, seed=1))
    optimizer = optimizers.Muon(ns_bfloat16=True).setup(link)
    optimizer.update()
    with emulated_device.calls() as seen:
        optimizer.update()
    assert not [call for call in seen if "host waits for stream" in call]


@marked
def test_what_multiplies_is_told():
    assert "cublas.so" in runtime_info()["matrix products on CUDA"]


PROGRAM = """
import numpy as np
import chainrule, chainrule.functions as F
from chainrule import Parameter, Variable, optimizers
from chainrule.info import runtime_info
def there(*shape):
    return Variable.from_dlpack(Variable(np.ones(shape, "f")), device="cuda")
link = chainrule.Link()
with link.init_scope():
    link.w = Parameter.from_dlpack(there(2, 2))
    link.b = Parameter.from_dlpack(there(2))
link.w.grad = Variable.from_dlpack(link.w, copy=True)
link.b.grad = Variable.from_dlpack(link.b, copy=True)
optimizer = optimizers.SGD().setup(link)
link.w.update_rule = optimizers.Muon().create_update_rule()
for call in (optimizer.update, lambda: F.matmul(link.w, link.w)):
    try:
        call()
    except RuntimeError as error:
        print(error)
print(optimizer.t, link.w.update_rule.t, Variable.from_dlpack(link.b, device="cpu").array)
print(runtime_info()["matrix products on CUDA"])
link.w.update_rule = optimizers.Adafactor().create_update_rule()
optimizer.update()
"""


@marked
def test_without_cublas():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "CHAINRULE_CUBLAS": "/nowhere/libcublas.so"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    here = (
        "cuBLAS is not here: pip install nvidia-cublas, or set CHAINRULE_CUBLAS to libcublas.so; "
        "looked for /nowhere/libcublas.so"
    )
    assert done.stdout.splitlines() == [
        f"[update] /w: Muon multiplies matrices: [gemm] {here}",
        f"[gemm] {here}",
        "0 0 [1. 1.]",
        f"none: {here}",
    ]
