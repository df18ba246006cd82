"""Memory of CUDA devices through the CUDA array interface, both ways.

On a machine without a GPU the tests run on the emulated devices, in a process of their own.
"""

from __future__ import annotations

import types

import ml_dtypes
import numpy as np
import pytest

import chainrule.functions as F
import emulated_device
from chainrule import Parameter, Variable
from emulated_device import DEVICES, DTYPES, STREAM, Foreign, address, back, in_use, marked, there


@pytest.mark.skipif(DEVICES > 0, reason="there is a device: the tests run on it")
def test_on_emulated_devices():
    emulated_device.run_tests(__file__)


@marked
def test_the_interface_tells_everything():
    v = there(np.arange(6, dtype=np.int32).reshape(2, 3))
    found = v.__cuda_array_interface__
    assert found.pop("data") == (address(v), False)
    assert found == {
        "shape": (2, 3),
        "typestr": "<i4",
        "version": 3,
        "strides": None,
        "stream": 1,
    }
    for dtype in DTYPES[:-1]:
        assert there(np.ones(2, dtype)).__cuda_array_interface__["typestr"] == np.dtype(dtype).str
    assert there(np.ones((0, 2))).__cuda_array_interface__["data"] == (0, False)
    assert not hasattr(Variable(np.ones(2)), "__cuda_array_interface__")
    assert not hasattr(Parameter(), "__cuda_array_interface__")
    with pytest.raises(AttributeError, match="the protocol has no bfloat16: use DLPack"):
        _ = there(np.ones(2, ml_dtypes.bfloat16)).__cuda_array_interface__


@marked
@pytest.mark.parametrize(
    ("changes", "waits", "lets_go"),
    [
        ({"stream": None}, [], ["the host waits for stream 1"]),
        ({"leave_out": ["stream"]}, [], ["the host waits for stream 1"]),
        ({"stream": 1}, [], []),
        ({"stream": 2}, ["event 1 in stream 2", "stream 1 waits for event 1"], []),
        (
            {"stream": STREAM},
            [f"event 1 in stream {STREAM}", "stream 1 waits for event 1"],
            ["the host waits for stream 1"],
        ),
        (
            {"version": 2, "leave_out": ["stream"]},
            ["the host waits for all streams"],
            ["the host waits for stream 1"],
        ),
    ],
)
def test_our_stream_waits_for_the_producers(changes, waits, lets_go):
    v = there(np.arange(3, dtype=np.float32))
    foreign = Foreign(v, **changes)
    with emulated_device.calls() as seen:
        taken = Variable(foreign)
    assert seen == [f"cuda:0: {call}" for call in waits]
    assert address(taken) == address(v)
    with emulated_device.calls() as seen:
        del taken
    assert seen == [f"cuda:0: {call}" for call in lets_go]


@marked
@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"stream": 0}, ValueError, "stream: got 0, expected None, 1, 2 or a stream's address"),
        ({"mask": np.ones(1)}, TypeError, "got an array with a mask"),
        ({"typestr": "<c8"}, TypeError, "dtype not supported: got <c8"),
        ({"typestr": ">f4"}, TypeError, "dtype not supported: got >f4"),
        ({"typestr": "<V2"}, TypeError, "bfloat16 comes with Variable.from_dlpack"),
        ({"shape": (1,) * 9}, ValueError, "too many dimensions: got 9, expected at most 8"),
        ({"strides": (4, 4)}, ValueError, r"strides: got \(4, 4\) for the shape \(3,\)"),
        ({"leave_out": ["data"]}, ValueError, "it has no 'data'"),
        ({"leave_out": ["typestr"]}, ValueError, "it has no 'typestr'"),
        ({"data": (8, False)}, BufferError, "is no CUDA device's"),
    ],
)
def test_interfaces_that_are_refused(changes, error, message):
    foreign = Foreign(there(np.ones(3, np.float32)), **changes)
    for take in (Variable, F.exp):
        with pytest.raises(error, match=message):
            take(foreign)
    with pytest.raises(TypeError, match="got list, expected a dict"):
        Variable(types.SimpleNamespace(__cuda_array_interface__=[]))


@marked
def test_a_misaligned_address_is_refused():
    v = there(np.ones(3, np.float32))
    with pytest.raises(BufferError, match="not aligned to the size of an element"):
        Variable(Foreign(v, data=(address(v) + 1, False), shape=(2,)))


@marked
def test_a_variable_is_no_array():
    with pytest.raises(TypeError, match="not an array: got Variable"):
        Variable(there(np.ones(2)))


@marked
def test_what_the_interface_showed_stays():
    before = in_use()
    v = there(np.full(1000, 7, np.float32))
    foreign = Foreign(v)  # keeps the variable, as the protocol wants
    v.array = np.zeros(3)
    taken = Variable(foreign)
    assert back(taken)[-1] == 7
    for _ in range(3):
        v.array = np.ones(1)
    del foreign, v
    assert in_use() > before  # held through the other library's object
    del taken
    assert in_use() == before
