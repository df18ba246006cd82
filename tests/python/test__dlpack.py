"""Arrays to and from other libraries: the same memory, the right lifetimes, clear refusals."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import types
import weakref

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import chainrule
from chainrule import Parameter, Variable, _core, optimizers

needs_version_1 = pytest.mark.skipif(
    np.lib.NumpyVersion(np.__version__) < "2.1.0",
    reason="NumPy before 2.1 takes everything for read-only",
)
DTYPES = [bool, "u1", "i1", "i2", "i4", "i8", "e", "f", "d"]


def torch_or_skip():
    return pytest.importorskip("torch", reason="tensors of PyTorch")


def views(draw, base: np.ndarray) -> np.ndarray:
    """Slice, reverse and transpose an array."""
    key = tuple(slice(None, None, draw(st.sampled_from([1, 2, -1, -2]))) for _ in range(base.ndim))
    return base[(*key, ...)].transpose(draw(st.permutations(range(base.ndim))))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_numpy_both_ways(data):
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    dtype = data.draw(st.sampled_from(DTYPES))
    base = np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)
    array = views(data.draw, base)
    others = [Variable.from_dlpack(array).array]
    if all(stride >= 0 for stride in array.strides):
        others.append(np.from_dlpack(Variable(array)))
    for other in others:
        assert other.dtype == array.dtype
        assert other.shape == array.shape
        np.testing.assert_array_equal(other, array)
        if array.size:
            assert other.ctypes.data == array.ctypes.data
            steps = zip(other.strides, array.strides, array.shape, strict=True)
            assert all(mine == theirs for mine, theirs, extent in steps if extent > 1)


@needs_version_1
def test_what_one_writes_the_other_reads():
    array = np.zeros((2, 3), np.float32)
    v = Variable.from_dlpack(array)
    other = np.from_dlpack(v)
    array[0, 0] = 1
    v.array[0, 1] = 2
    other[0, 2] = 3
    for seen in (array, v.array, other):
        assert seen[0].tolist() == [1, 2, 3]


def test_gradients_and_updates_go_into_borrowed_memory():
    array = np.ones(3, np.float32)
    p = Parameter.from_dlpack(array)
    link = chainrule.Link()
    with link.init_scope():
        link.p = p
    optimizer = optimizers.SGD(lr=0.25).setup(link)
    optimizer.update(lambda: chainrule.functions.sum(link.p * link.p))
    assert isinstance(p, Parameter)
    assert array.tolist() == [0.5] * 3


@pytest.mark.parametrize("max_version", [(1, 0), (1, 1), (2, 0), None, (0, 8)])
def test_versions(max_version):
    capsule = Variable(np.ones(2, np.float32)).__dlpack__(max_version=max_version)
    versioned = max_version is not None and max_version[0] >= 1
    assert ('"dltensor_versioned"' if versioned else '"dltensor"') in repr(capsule)
    v = Variable.from_dlpack(capsule)
    assert v.array.tolist() == [1, 1]
    assert v.array.flags.writeable
    with pytest.raises(ValueError, match="the capsule has been consumed"):
        Variable.from_dlpack(capsule)


@needs_version_1
def test_read_only_stays_read_only():
    array = np.ones(3, np.float32)
    array.flags.writeable = False
    v = Variable(array)
    assert not np.from_dlpack(v).flags.writeable
    assert not Variable.from_dlpack(v).array.flags.writeable
    repeated = chainrule.functions.broadcast_to(np.ones(1, np.float32), (3,))
    assert not np.from_dlpack(repeated).flags.writeable
    for cannot_tell in (v, repeated):
        with pytest.raises(BufferError, match="read-only, which DLPack before version 1 cannot"):
            cannot_tell.__dlpack__()
    copy = Variable.from_dlpack(v.__dlpack__(copy=True))
    assert copy.array.flags.writeable
    copy.array[0] = 5
    assert array[0] == 1
    link = chainrule.Link()
    with link.init_scope():
        link.p = Parameter.from_dlpack(v)
    optimizer = optimizers.SGD().setup(link)
    link.p.grad = np.ones(3, np.float32)
    with pytest.raises(ValueError, match="read-only"):
        optimizer.update()


def test_copies_are_made_where_asked():
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    for copy in (
        np.from_dlpack(Variable(array)).copy(),
        Variable.from_dlpack(array, copy=True).array,
        Variable.from_dlpack(Variable(array), copy=True).array,
    ):
        assert not np.shares_memory(copy, array)
        np.testing.assert_array_equal(copy, array)
    assert np.shares_memory(Variable.from_dlpack(array, copy=False).array, array)


def test_the_device_is_told():
    assert Variable(np.ones(1)).__dlpack_device__() == (1, 0)
    assert Variable.from_dlpack(np.ones(1), device="cpu").array.tolist() == [1]


def test_what_runs_backwards_is_copied():
    # torch.from_dlpack(numpy.arange(3)[::-1]) ends the process with PyTorch 2.13.
    array = np.arange(6, dtype=np.float32).reshape(2, 3)[:, ::-1]
    v = Variable(array)
    for ask in (v.__dlpack__, lambda: v.__dlpack__(copy=False), lambda: np.from_dlpack(v)):
        with pytest.raises(BufferError, match="runs backwards, which PyTorch cannot take"):
            ask()
    capsule = v.__dlpack__(copy=True)
    np.testing.assert_array_equal(Variable.from_dlpack(capsule).array, array)
    assert np.shares_memory(np.asarray(v), array)
    assert np.from_dlpack(Variable(np.zeros((0, 3))[:, ::-1])).shape == (0, 3)
    assert np.from_dlpack(Variable(np.zeros((1, 3))[::-1])).shape == (1, 3)


class Owner(np.ndarray):
    """An array that can be watched."""


def watched(size: int = 1000) -> tuple[np.ndarray, weakref.ref]:
    array = np.ones(size, np.float32).view(Owner)
    return array, weakref.ref(array)


@needs_version_1
def test_memory_lives_as_long_as_somebody_needs_it():
    array, alive = watched()
    v = Variable(array)
    other = np.from_dlpack(v)
    back = Variable.from_dlpack(other)
    view = back.array[10:20]
    del array, v, other, back
    gc.collect()
    assert alive() is not None
    assert view.sum() == 10
    del view
    gc.collect()
    assert alive() is None


def test_replacing_the_array_leaves_what_was_given():
    v = Variable(np.ones(1000, np.float32))
    other = np.from_dlpack(v)
    v.array = np.zeros(1000, np.float32)
    gc.collect()
    assert other.sum() == 1000


@pytest.mark.parametrize("version", [None, (1, 0)])
def test_capsules_that_nobody_takes_let_go(version):
    array, alive = watched()
    capsule = Variable(array).__dlpack__(max_version=version)
    del array
    gc.collect()
    assert alive() is not None
    del capsule
    gc.collect()
    assert alive() is None


@pytest.mark.skipif(
    "asan" in os.environ.get("LD_PRELOAD", ""),
    reason="under the address sanitizer every block comes from the system, and nobody counts them",
)
def test_own_memory_is_given_back():
    before = _core.cpu_memory()[0]
    x = Variable(np.ones(100_000, np.float32))
    others = [np.from_dlpack(x + 1) for _ in range(10)]
    assert _core.cpu_memory()[0] >= before + 10 * 400_000
    del others
    gc.collect()
    assert _core.cpu_memory()[0] == before


@needs_version_1
def test_threads_let_go_at_the_same_time():
    array, alive = watched(100_000)
    v = Variable(array)
    errors = []

    def work():
        try:
            for _ in range(200):
                back = Variable.from_dlpack(np.from_dlpack(v))
                assert (back + 0).array[-1] == 1
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    del array, threads, thread, work
    v.array = None
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize("library", ["numpy", "torch", "jax.numpy"])
def test_the_end_of_the_process(library):
    pytest.importorskip(library, reason=f"arrays of {library}")
    program = f"""
import numpy, chainrule
import {library} as other
v = chainrule.Variable(numpy.ones(1000, numpy.float32)) + 0
kept = [v.__dlpack__(), other.from_dlpack(v), chainrule.Variable.from_dlpack(other.ones(3))]
kept += [chainrule.Variable.from_dlpack(v), other.from_dlpack(v + 1)]
class Late:
    def __del__(self, kept=kept): kept.clear()
late = Late()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


class Producer:
    """Another library's array, with what is odd about it."""

    def __init__(self, array, device=(1, 0), old=False, gives=None):
        self.array, self.device, self.old, self.gives = array, device, old, gives

    def __dlpack_device__(self):
        return self.device

    def __dlpack__(self, **kwargs):
        if self.old and kwargs:
            raise TypeError("unexpected keyword argument")
        return self.array.__dlpack__(**kwargs) if self.gives is None else self.gives


def test_libraries_of_the_time_before_version_1():
    array = np.ones(2, np.float32)
    v = Variable.from_dlpack(Producer(array, old=True))
    assert np.shares_memory(v.array, array)
    copy = Variable.from_dlpack(Producer(array, old=True), copy=True)
    assert not np.shares_memory(copy.array, array)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (3, TypeError, "got int, expected an object with __dlpack__"),
        (Producer(np.ones(2), device=(2, 99)), BufferError, r"memory on device \(2, 99\), which"),
        (
            Producer(np.ones(2), device=(10, 0)),
            BufferError,
            r"memory on device \(10, 0\), expected",
        ),
        (
            Producer(np.ones(2), device="gpu"),
            TypeError,
            "__dlpack_device__ of Producer: got 'gpu', expected a pair of integers",
        ),
        (Producer(np.ones(2), device=(2**40, 0)), TypeError, "got \\(1099511627776, 0\\)"),
        (Producer(np.ones(2), gives=3), ValueError, "got no capsule from __dlpack__"),
        (np.ones(2, np.complex64), TypeError, "got DLPack's code 5 of 64 bits in 1 lanes"),
        (np.ones(2, np.uint32), TypeError, "got DLPack's code 1 of 32 bits"),
        (np.ones((1,) * 9), ValueError, "too many dimensions: got 9, expected at most 8"),
    ],
)
def test_what_is_refused(given, error, message):
    with pytest.raises(error, match=message):
        Variable.from_dlpack(given)


def test_what_is_refused_is_let_go():
    array = np.ones(2, np.complex64).view(Owner)
    alive = weakref.ref(array)
    with pytest.raises(TypeError):
        Variable.from_dlpack(Producer(array))
    del array
    gc.collect()
    assert alive() is None


def test_what_cannot_be_given():
    v = Variable(np.ones(2))
    with pytest.raises(BufferError, match="stream: the CPU has none"):
        v.__dlpack__(stream=1)
    for stream in (2**70, -(2**70), 0):
        with pytest.raises(ValueError, match=rf"stream: got {stream}, expected None or 1"):
            v.__dlpack__(stream=stream)
    with pytest.raises(BufferError, match=r"dl_device: got \(2, 0\)"):
        v.__dlpack__(dl_device=(2, 0))
    with pytest.raises(BufferError, match="has no array yet"):
        Parameter().__dlpack__()
    with pytest.raises(ValueError, match="device: got 'tpu', expected None, 'cpu', 'cuda' or"):
        Variable.from_dlpack(v, device="tpu")
    if not chainrule.cuda.available:
        for device in ("cuda", (2, 0)):
            with pytest.raises(BufferError, match=r"device: got \(2, 0\), which cannot be used: "):
                Variable.from_dlpack(v, device=device)
        interface = {"shape": (1,), "typestr": "<f4", "data": (256, False), "version": 3}
        holder = types.SimpleNamespace(__cuda_array_interface__=interface)
        with pytest.raises(BufferError, match="memory of a CUDA device, which cannot be used: "):
            Variable(holder)
    field = Variable(np.zeros(3, [("a", "f2"), ("b", "u1"), ("c", "u1"), ("d", "u2")])["a"])
    assert field.array.strides == (6,)
    assert np.from_dlpack(field).strides == (6,)
    field = Variable(np.zeros(3, np.dtype([("a", "u2"), ("b", "u1")], align=True))["b"])
    assert np.from_dlpack(field).strides == (4,)
    pairs = np.zeros(3, [("a", "f4"), ("b", "u2")])["a"][::2]  # every 12 bytes
    assert Variable(pairs).__dlpack__() is not None


VIEWS = {
    "all": np.s_[:],
    "rows": np.s_[1:],
    "columns": np.s_[:, 1:],
    "steps": np.s_[:, ::2],
    "a number": np.s_[1, 2],
    "nothing": np.s_[:0],
    "no columns": np.s_[:, 1:1],
}


@pytest.mark.parametrize("dtype", [*DTYPES, ml_dtypes.bfloat16])
@pytest.mark.parametrize("key", VIEWS.values(), ids=VIEWS.keys())
@pytest.mark.parametrize("turned", [False, True])
def test_torch_both_ways(dtype, key, turned):
    torch = torch_or_skip()
    array = np.arange(12).reshape(4, 3).astype(dtype)
    array = array.T if turned else array
    view = array[key] if isinstance(key, slice) or not np.isscalar(array[key]) else None
    v = Variable(array)[key] if view is None else Variable(view)
    tensor = torch.from_dlpack(v)
    assert str(tensor.dtype).removeprefix("torch.") == np.dtype(dtype).name
    assert tuple(tensor.shape) == v.shape
    assert tensor.double().tolist() == v.array.astype(float).tolist()
    again = Variable.from_dlpack(torch.from_dlpack(Variable(array))[key])
    assert again.dtype == v.dtype
    np.testing.assert_array_equal(again.array, v.array)
    assert again.array.flags.writeable
    if v.size:
        assert tensor.data_ptr() == v.array.ctypes.data
        assert np.shares_memory(again.array, array)
    repeated = torch.from_dlpack(Variable(array)).expand(2, *array.shape)
    assert not Variable.from_dlpack(repeated).array.flags.writeable


def test_torch_copies_where_it_is_asked_to():
    torch = torch_or_skip()
    array = np.arange(6, dtype=np.float32)[::-1]  # which it cannot take as it is
    tensor = torch.from_dlpack(Variable(array), copy=True)
    assert tensor.tolist() == array.tolist()
    with pytest.raises(BufferError, match="runs backwards"):
        torch.from_dlpack(Variable(array))
    assert torch.from_dlpack(Variable(array.copy()), device="cpu").tolist() == array.tolist()


def test_torch_in_training():
    torch = torch_or_skip()
    weight = torch.ones(3)
    p = Parameter.from_dlpack(weight)
    p.update_rule = optimizers.SGD(lr=0.5).create_update_rule()
    p.grad = np.ones(3, np.float32)
    p.update()
    assert weight.tolist() == [0.5] * 3
    with pytest.raises((BufferError, RuntimeError), match="grad"):
        Variable.from_dlpack(torch.ones(2, requires_grad=True))
    v = Variable.from_dlpack(torch.ones(1000))
    gc.collect()
    assert v.array.sum() == 1000


@pytest.mark.parametrize("dtype", [*DTYPES, ml_dtypes.bfloat16])
def test_jax_both_ways(dtype):
    jax = pytest.importorskip("jax", reason="arrays of JAX")
    if np.dtype(dtype).itemsize == 8:
        pytest.skip("JAX has 64 bits only where it is told to at the start")
    array = np.arange(12).reshape(4, 3).astype(dtype)
    # Memory of chainrule's own begins where JAX, too, wants it to.
    own = Variable.from_dlpack(Variable(array), copy=True)
    for v in (own, own.T, own[:0], own[0, 1]):
        there = jax.numpy.from_dlpack(v)
        assert there.dtype == v.dtype
        np.testing.assert_array_equal(np.asarray(there), v.array)
    assert jax.numpy.from_dlpack(own).unsafe_buffer_pointer() == own.array.ctypes.data
    there = jax.numpy.asarray(array)
    back = Variable.from_dlpack(there)
    assert back.array.ctypes.data == there.unsafe_buffer_pointer()
    np.testing.assert_array_equal(back.array, array)
    assert not back.array.flags.writeable  # JAX's arrays never change
    assert Variable.from_dlpack(there, copy=True).array.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        back.copydata(own)


def test_numpy_asks_for_an_array():
    array = np.ones(2, np.float32)
    v = Variable(array)
    assert np.asarray(v) is array
    assert np.array(v) is not array
    assert np.asarray(v, np.float64).dtype == np.float64
    with pytest.raises(ValueError, match="another dtype needs a copy"):
        v.__array__(np.float64, copy=False)
    assert v.__array__(np.float32, copy=False) is array
    assert v.__array__(copy=True) is not array
    with pytest.raises(ValueError, match="no array yet"):
        np.asarray(Parameter())
