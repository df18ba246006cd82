import numpy as np
import pytest

import chainrule
from chainrule import Variable, backend

CPU = backend.CpuDevice()


@pytest.mark.parametrize("spec", ["@numpy", -1, "-1", CPU, chainrule.cuda.DummyDevice])
def test_the_cpu(spec):
    device = chainrule.get_device(spec)
    assert device == CPU
    assert hash(device) == hash(CPU)
    assert (device.xp, device.name, str(device)) == (np, "@numpy", "@numpy")
    assert repr(device) == "<CpuDevice (numpy)>"
    assert device.supported_array_types == (np.ndarray,)
    device.use()
    with chainrule.using_device(spec) as used:
        assert used == CPU


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        (None, TypeError),
        (np, TypeError),
        (("@numpy",), TypeError),
        ("", ValueError),
        ("@numpy:0", ValueError),
        ("@cupy", ValueError),
        ("@other:0", ValueError),
        ("native", ValueError),
    ],
)
def test_other_specifications(spec, error):
    with pytest.raises(error, match=r"\[get_device\] got "):
        chainrule.get_device(spec)


@pytest.mark.skipif(chainrule.cuda.available, reason="there is a GPU")
@pytest.mark.parametrize("spec", [0, "0", "@cupy:0", np.int64(1)])
def test_gpus_need_cuda(spec):
    with pytest.raises(RuntimeError, match=r"\[cuda\] CUDA is not available: ."):
        chainrule.get_device(spec)
    with pytest.raises(RuntimeError, match="CUDA is not available"):
        backend.GpuDevice.from_device_id(0)


def test_send():
    x = np.ones(2)
    assert CPU.send(x) is x
    first, second = CPU.send((x, None))
    assert (first is x, second) == (True, None)
    assert CPU.send([3.0])[0].shape == ()
    for wrong in ({}, "x.y", object(), Variable(x)):
        if not isinstance(wrong, str):
            with pytest.raises(TypeError, match="expected a NumPy array or a number"):
                CPU.send(wrong)
    assert CPU.is_array_supported(x)
    assert not CPU.is_array_supported(3)
    assert backend.CpuDevice.from_array(x) == CPU
    assert backend.CpuDevice.from_array(3) is None
    with pytest.raises(NotImplementedError):
        backend.Device().send(x)


def test_modules_and_types_of_arrays():
    x = np.ones(2)
    assert backend.get_array_module(x, Variable(x)) is np
    assert backend.get_device_from_array(x) == CPU
    assert chainrule.get_array_types() == chainrule.get_cpu_array_types() == (np.ndarray,)
    assert chainrule.is_arrays_compatible([x, None])
    assert not chainrule.is_arrays_compatible([x, 3])


def test_copyto():
    x = np.zeros((2, 2))
    backend.copyto(x, np.ones(2))
    backend.copyto(x[0], 3)
    assert x.tolist() == [[3, 3], [1, 1]]
    with pytest.raises(TypeError, match=r"use Variable\.copydata"):
        backend.copyto(x, Variable(x))
    with pytest.raises(TypeError, match="got list, expected an array"):
        backend.copyto([1, 2], x)
