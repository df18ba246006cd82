"""Memory of CUDA devices to and from other libraries: streams, lifetimes, copies, refusals.

On a machine without a GPU the tests run on the emulated devices, in a process of their own.
"""

from __future__ import annotations

import contextlib
import gc
import subprocess
import sys
import threading
import types

import numpy as np
import pytest

import chainrule
import chainrule.functions as F
import emulated_device
from chainrule import Parameter, Variable, _core, optimizers
from emulated_device import DEVICES, DTYPES, STREAM, Foreign, address, back, in_use, marked, there


@pytest.mark.skipif(DEVICES > 0, reason="there is a device: the tests run on it")
def test_on_emulated_devices():
    emulated_device.run_tests(__file__)


def real(name: str):
    """Give another library that has a GPU."""
    if emulated_device.is_used():
        pytest.skip(f"{name} needs a real GPU")
    module = pytest.importorskip(name, reason=f"arrays of {name} on a GPU")
    if name == "torch" and not module.cuda.is_available():
        pytest.skip("this PyTorch has no CUDA")
    return module


@marked
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 4)])
def test_there_and_back(dtype, shape):
    array = np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)
    for source in (array, array.T, np.broadcast_to(array, (2, *shape))):
        v = there(source)
        assert v.__dlpack_device__() == (2, 0)
        assert (v.shape, v.dtype) == (source.shape, source.dtype)
        returned = back(Variable.from_dlpack(v))
        assert returned.flags.writeable
        np.testing.assert_array_equal(returned, source)


@marked
def test_nothing_is_copied():
    v = there(np.arange(6, dtype=np.float32).reshape(2, 3))
    for w in (
        Variable.from_dlpack(v),
        Variable.from_dlpack(v.__dlpack__()),
        Variable.from_dlpack(v, device="cuda:0", copy=False),
        Variable.from_dlpack(v, device=(2, 0)),
        Variable(v_as_foreign := Foreign(v)),
        F.transpose(F.transpose(v)),
    ):
        assert address(w) == address(v)
    assert isinstance(v_as_foreign, Foreign)
    turned = Variable.from_dlpack(v.T)
    assert turned.__cuda_array_interface__["strides"] == (4, 12)
    np.testing.assert_array_equal(back(turned), back(v).T)
    assert address(Variable.from_dlpack(v[1:])) == address(v) + 12
    assert address(Variable.from_dlpack(v, copy=True)) != address(v)


@marked
def test_views_of_every_kind():
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    v = there(array)
    for key in [np.s_[:, 1], np.s_[::-1], np.s_[..., ::-2], np.s_[1, 2, 3], np.s_[:, 1:1]]:
        for taken in (Variable.from_dlpack(v[key]), Variable(Foreign(v[key]))):
            np.testing.assert_array_equal(back(taken), array[key])
    with pytest.raises(BufferError, match="runs backwards, which PyTorch cannot take"):
        v[::-1].__dlpack__()


@marked
@pytest.mark.parametrize(
    ("stream", "waits", "lets_go"),
    [
        (None, [], []),
        (1, [], []),
        (2, ["event 1 in stream 1", "stream 2 waits for event 1"], []),
        (
            STREAM,
            ["event 1 in stream 1", f"stream {STREAM} waits for event 1"],
            ["the host waits for all streams"],
        ),
        (-1, [], ["the host waits for all streams"]),
    ],
)
@pytest.mark.parametrize("version", [None, (1, 0)])
def test_the_consumers_stream_waits_for_ours(stream, waits, lets_go, version):
    v = there(np.ones(3, np.float32))
    with emulated_device.calls() as seen:
        capsule = v.__dlpack__(stream=stream, max_version=version)
    assert seen == [f"cuda:0: {call}" for call in waits]
    # What runs on a stream that does not wait for ours may need the memory still.
    with emulated_device.calls() as seen:
        del capsule
    assert seen == [f"cuda:0: {call}" for call in lets_go]


@marked
@pytest.mark.parametrize(
    ("stream", "error"), [(0, ValueError), (-2, ValueError), ("1", TypeError), (1.0, TypeError)]
)
def test_streams_that_are_none(stream, error):
    v = there(np.ones(3, np.float32))
    with pytest.raises(error, match=r"\[dlpack\] stream: got"):
        v.__dlpack__(stream=stream)


class Producer:
    """Another library's array on our memory; remembers what was asked of it."""

    def __init__(self, variable, device=(2, 0), old=False):
        self.variable, self.device, self.old, self.asked = variable, device, old, []

    def __dlpack_device__(self):
        return self.device

    def __dlpack__(self, **kwargs):
        self.asked.append(kwargs)
        if self.old and "max_version" in kwargs:
            raise TypeError("unexpected keyword argument")
        return self.variable.__dlpack__(**kwargs)


@marked
def test_the_producer_is_told_our_stream():
    v = there(np.arange(3, dtype=np.float32))
    new, old = Producer(v), Producer(v, old=True)
    with emulated_device.calls() as seen:
        taken = Variable.from_dlpack(new), Variable.from_dlpack(old)
    assert seen == []
    assert new.asked == [{"stream": 1, "max_version": (1, 0)}]
    assert old.asked == [{"stream": 1, "max_version": (1, 0)}, {"stream": 1}]
    # The other library may use the memory anew at once.
    with emulated_device.calls() as seen:
        del taken
    assert seen == ["cuda:0: the host waits for stream 1"] * 2


@marked
def test_read_only_stays_read_only():
    repeated = F.broadcast_to(there(np.ones(1, np.float32)), (3,))
    assert repeated.__cuda_array_interface__["data"][1] is True
    with pytest.raises(BufferError, match="before version 1"):
        repeated.__dlpack__()
    taken = Variable.from_dlpack(repeated)
    assert taken.__cuda_array_interface__["data"][1] is True
    p = Parameter.from_dlpack(Variable(Foreign(there(np.ones(3, np.float32)), read_only=True)))
    assert isinstance(p, Parameter)
    assert p.__cuda_array_interface__["data"][1] is True
    p.grad = there(np.ones(3, np.float32))
    p.update_rule = optimizers.SGD().create_update_rule()
    with pytest.raises(ValueError, match="read-only"):
        p.update()


@marked
def test_copies_between_devices():
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    v = there(array)
    capsule = v.__dlpack__(dl_device=(1, 0), max_version=(1, 0), stream=STREAM)
    np.testing.assert_array_equal(Variable.from_dlpack(capsule).array, array)
    capsule = Variable(array).__dlpack__(dl_device=(2, 0))
    np.testing.assert_array_equal(back(Variable.from_dlpack(capsule)), array)
    np.testing.assert_array_equal(back(Variable.from_dlpack(v.__dlpack__(copy=True))), array)
    if np.lib.NumpyVersion(np.__version__) >= "2.1.0":
        np.testing.assert_array_equal(np.from_dlpack(v, device="cpu"), array)
    for refused in (
        lambda: v.__dlpack__(dl_device=(1, 0), copy=False),
        lambda: Variable(array).__dlpack__(dl_device=(2, 0), copy=False),
        lambda: Variable.from_dlpack(v, device="cpu", copy=False),
        lambda: Variable.from_dlpack(array, device="cuda", copy=False),
    ):
        with pytest.raises(BufferError, match=r"is copied to get to .*: got copy=False"):
            refused()
    with pytest.raises(BufferError, match=r"got \(2, 99\), which cannot be used: .*no such device"):
        Variable.from_dlpack(v, device="cuda:99")
    with pytest.raises(BufferError, match=r"memory on device \(10, 0\)"):
        Variable.from_dlpack(Producer(v, device=(10, 0)))
    with pytest.raises(BufferError, match=r"memory on device \(2, 300\), which cannot be used"):
        Variable.from_dlpack(Producer(v, device=(2, 300)))
    # What cannot be used where it is may be brought by the other library.
    other = Producer(v, device=(10, 0))
    np.testing.assert_array_equal(Variable.from_dlpack(other, device="cpu").array, array)
    assert other.asked == [{"max_version": (1, 0), "dl_device": (1, 0)}]


@marked
@pytest.mark.skipif(DEVICES < 2, reason="there is one device")
def test_the_second_device():
    array = np.arange(5, dtype=np.float32)
    v = there(array, "cuda:1")
    assert v.__dlpack_device__() == (2, 1)
    assert str(v.device) == "@cupy:1"
    w = Variable(Foreign(v))  # the protocol tells no device: the memory does
    assert w.__dlpack_device__() == (2, 1)
    np.testing.assert_array_equal(back(Variable.from_dlpack(w, device="cuda:0")), array)
    with emulated_device.calls() as seen:
        v.__dlpack__(stream=STREAM)
    assert seen[1] == f"cuda:1: stream {STREAM} waits for event 1"


@marked
@pytest.mark.parametrize("version", [None, (1, 0)])
def test_memory_is_given_back(version):
    before = in_use()
    v = there(np.ones(1000, np.float32))
    capsules = [v.__dlpack__(max_version=version, stream=s) for s in (None, -1, 2)]
    taken = Variable.from_dlpack(v.__dlpack__(max_version=version))
    view = taken[10:20]
    del v, taken
    assert in_use() >= before + 4000
    assert back(view)[0] == 1
    del view
    capsules[1:] = []
    assert in_use() >= before + 4000
    del capsules
    assert in_use() == before


@marked
def test_threads_let_go_at_the_same_time():
    before = in_use()
    v = there(np.arange(1000, dtype=np.float32))
    errors = []

    def work():
        try:
            for _ in range(50):
                taken = Variable.from_dlpack(Variable(Foreign(Variable.from_dlpack(v))))
                loop = [taken]
                loop.append(loop)  # only the collector finds it
                assert back(taken)[-1] == 999
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        gc.collect()
        thread.join()
    assert not errors
    v.array = None
    del threads, thread, work
    assert in_use() == before


@marked
def test_the_end_of_the_process():
    program = """
import numpy, chainrule
from chainrule import Variable
v = Variable.from_dlpack(numpy.ones(1000, numpy.float32), device="cuda")
class Foreign: pass
foreign = Foreign()
foreign.__cuda_array_interface__ = v.__cuda_array_interface__
foreign.v = v
kept = [v.__dlpack__(), v.__dlpack__(stream=-1), Variable.from_dlpack(v), Variable(foreign)]
class Late:
    def __del__(self, kept=kept): kept.clear()
late = Late()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@marked
def test_gradients_and_updates_on_the_device():
    array = np.linspace(-2, 2, 5, dtype=np.float32)
    for make in (optimizers.SGD, optimizers.Adam, optimizers.Lion):
        arrays = []
        for x in (there(array), Variable(array.copy())):
            p = Parameter.from_dlpack(x)
            link = chainrule.Link()
            with link.init_scope():
                link.p = p
            optimizer = make().setup(link)
            for _ in range(3):
                y = F.tanh(p * p)
                y.grad = Variable.from_dlpack(x, copy=True)
                link.cleargrads()
                y.backward()
                optimizer.update()
            assert p.__dlpack_device__() == x.__dlpack_device__()
            arrays.append(back(x))  # the memory that was lent
        np.testing.assert_allclose(arrays[0], arrays[1], rtol=1e-5, atol=1e-6)
        assert not np.array_equal(arrays[0], array)


@marked
def test_states_on_the_device_are_seen_as_copies():
    p = Parameter.from_dlpack(there(np.ones(3, np.float32)))
    rule = optimizers.Adam().create_update_rule()
    p.update_rule = rule
    p.grad = there(np.array([1, 2, 3], np.float32))
    p.update()
    m = rule.state["m"]
    np.testing.assert_allclose(m, [0.1, 0.2, 0.3], rtol=1e-6)
    assert not m.flags.writeable
    rule.state["m"] = np.array([4, 5, 6], np.float32)
    assert rule.state["m"].tolist() == [4, 5, 6]
    p.update()
    np.testing.assert_allclose(rule.state["m"], [3.7, 4.7, 5.7], rtol=1e-6)


@marked
def test_data_are_copied_across_devices():
    v, w = there(np.zeros(3)), Variable(np.arange(3.0))
    v.copydata(w)
    assert back(v).tolist() == [0, 1, 2]
    w.array[:] = 0
    w.copydata(v)
    assert w.array.tolist() == [0, 1, 2]


@marked
def test_a_variable_says_what_it_is():
    v = there(np.array([1.0, 2.0], np.float32))
    assert repr(v) == "variable([1., 2.])"
    assert str(v) == "variable([1. 2.])"
    assert str(v.device) == "@cupy:0"
    assert "- device: @cupy:0\n- backend: cupy.ndarray\n- shape: (2,)" in v.debug_print()
    assert v.label == Variable(np.ones(2, np.float32)).label
    with pytest.raises(TypeError, match=r"on cuda:0: copy it with Variable.from_dlpack"):
        np.asarray(v)
    with pytest.raises(NotImplementedError, match="models stay on the CPU"):
        Variable(np.ones(2)).to_gpu()
    v.grad = there(np.array([3.0, 4.0], np.float32))
    v.to_gpu(0)  # it is there
    v.to_cpu()
    assert v.array.tolist() == [1, 2]
    assert v.grad.tolist() == [3, 4]


class CuPyArray:
    """What CuPy would make of a variable's memory."""

    def __init__(self, given):
        assert given.__dlpack_device__() == (2, 0)
        self.capsule = given.__dlpack__(stream=2, max_version=(1, 0))


@contextlib.contextmanager
def cupy(module):
    """Have this for CuPy."""
    before = sys.modules.get("cupy")
    sys.modules["cupy"] = module
    try:
        yield
    finally:
        del sys.modules["cupy"]
        if before is not None:
            sys.modules["cupy"] = before


@marked
def test_the_array_is_cupys():
    v = there(np.arange(3, dtype=np.float32))[::-1]
    with cupy(types.SimpleNamespace(from_dlpack=CuPyArray)):
        shown = v.array
        assert isinstance(shown, CuPyArray)
        np.testing.assert_array_equal(back(Variable.from_dlpack(shown.capsule)), [2, 1, 0])
        assert v.array is shown
        assert v.xp is sys.modules["cupy"]
    v = there(np.ones(3, np.float32))
    with cupy(None), pytest.raises(RuntimeError, match=r"install cupy, let torch\.from_dlpack"):
        _ = v.array


@marked
def test_the_pool_tells_and_returns_what_it_keeps():
    pool = chainrule.cuda.memory_pool
    gc.collect()
    before = pool.used_bytes()
    v = there(np.zeros(1 << 20, np.uint8))
    assert pool.used_bytes() >= before + (1 << 20)
    assert pool.total_bytes() == pool.used_bytes() + pool.free_bytes()
    del v
    assert pool.used_bytes() == before
    pool.free_all_blocks()
    assert pool.used_bytes() == before
    assert pool.free_bytes() < 1 << 30
    assert pool.free_bytes() == 0 or not emulated_device.is_used()


@pytest.fixture
def asked():
    """Who was asked to give memory back."""
    seen = []
    yield seen
    _core.cuda_set_reclaimer(None)


@marked
def test_others_give_memory_back_before_none_is_left(asked, monkeypatch):
    if not emulated_device.is_used():
        pytest.skip("a GPU's memory is larger than what NumPy should fill here")
    mebibytes = 600  # of the 1024 that an emulated device has
    one = np.zeros(mebibytes << 20, np.uint8)
    kept = [there(one)]

    def give_back(device):
        asked.append(device)
        kept.clear()

    _core.cuda_set_reclaimer(give_back)
    v = there(one)
    assert asked == [0]
    assert not kept
    with pytest.raises(MemoryError, match="out of memory on cuda:0"):
        there(one)
    assert asked == [0, 0]
    del v

    def fails(device):
        raise ZeroDivisionError

    unraisable = []
    monkeypatch.setattr(sys, "unraisablehook", lambda seen: unraisable.append(seen.exc_type))
    _core.cuda_set_reclaimer(fails)
    v = there(one)
    with pytest.raises(MemoryError, match="out of memory on cuda:0"):
        there(one)
    assert unraisable == [ZeroDivisionError]
    _core.cuda_set_reclaimer(None)
    with pytest.raises(MemoryError):
        there(one)
    del v


@marked
def test_torch_both_ways():
    torch = real("torch")
    for stream in (torch.cuda.default_stream(), torch.cuda.Stream()):
        with torch.cuda.stream(stream):
            for dtype in (torch.float32, torch.bfloat16, torch.bool, torch.int64):
                tensor = torch.ones(2, 3, dtype=dtype, device="cuda").T
                v = Variable.from_dlpack(tensor)
                again = torch.from_dlpack(v)
                assert again.data_ptr() == tensor.data_ptr()
                assert (again.dtype, again.stride()) == (tensor.dtype, tensor.stride())
            big = torch.zeros(1 << 26, device="cuda")
            for _ in range(10):
                big += 1
            v = F.exp(Variable.from_dlpack(big) * 0) + Variable.from_dlpack(big)
            assert (torch.from_dlpack(v) == 11).all().item()
            assert (torch.as_tensor(v, device="cuda") == 11).all().item()
            big += 1
            assert back(Variable(big))[-1] == 11


@marked
def test_cupy_both_ways():
    cp = real("cupy")
    array = cp.arange(6, dtype=cp.float32).reshape(2, 3)
    for v in (Variable(array), Variable.from_dlpack(array)):
        assert v.array.data.ptr == array.data.ptr
        assert cp.asarray(v).data.ptr == array.data.ptr
        assert cp.from_dlpack(v).data.ptr == array.data.ptr
    with cp.cuda.Stream(non_blocking=True):
        array += 1
        cp.testing.assert_allclose(F.exp(Variable(array)).array, cp.exp(array), 1e-6)
