import sys

import numpy as np
import pytest

import chainrule
from chainrule import _core
from chainrule.backends import cuda


def test_one_module_under_two_names():
    import chainrule.cuda as shorter

    assert shorter is cuda is chainrule.cuda is sys.modules["chainrule.cuda"]


def test_status():
    available, reason = _core.cuda_status()
    assert (cuda.available, cuda.reason) == (available, reason)
    assert isinstance(reason, str)
    with pytest.raises(AttributeError, match="nothing"):
        _ = cuda.nothing


def test_unavailable(monkeypatch):
    monkeypatch.setattr(_core, "cuda_status", lambda: (False, "no driver"))
    assert cuda.available is False
    for use in (
        cuda.check_cuda_available,
        lambda: cuda.to_gpu(np.ones(1)),
        lambda: cuda.Device(0),
        lambda: cuda.get_device_from_id(0),
        lambda: chainrule.get_device("@cupy:0"),
        lambda: chainrule.Variable(np.ones(1)).to_gpu(),
        lambda: chainrule.Link().to_gpu(),
        lambda: chainrule.Link().to_device(1),
    ):
        with pytest.raises(RuntimeError, match=r"\[cuda\] CUDA is not available: no driver"):
            use()


def test_available_says_what_is_not_there_yet(monkeypatch):
    monkeypatch.setattr(_core, "cuda_status", lambda: (True, "1 device"))
    assert cuda.available is True
    with pytest.raises(NotImplementedError, match="arrays on a GPU are not supported"):
        cuda.to_gpu(np.ones(1))


def test_to_cpu():
    x = np.ones(2)
    assert cuda.to_cpu(x) is x
    assert cuda.to_cpu([x, None])[0] is x
    assert cuda.to_cpu(3.0).shape == ()
    with pytest.raises(TypeError, match="got dict, expected an array or a number"):
        cuda.to_cpu({})


def test_the_dummy_device():
    dummy = cuda.DummyDevice
    assert cuda.get_device_from_id(None) is cuda.get_device_from_id(-1) is dummy
    assert cuda.get_device_from_array(np.ones(1)) is cuda.get_device(np.ones(1), -1) is dummy
    assert dummy == cuda.DummyDeviceType()
    assert len({dummy, cuda.DummyDeviceType()}) == 1
    assert (dummy.id, int(dummy)) == (-1, -1)
    with dummy as entered:
        entered.use()
        entered.synchronize()


def test_memoize():
    calls = []

    @cuda.memoize(for_each_device=True)
    def square(x):
        """Square a number."""
        calls.append(x)
        return x * x

    assert [square(3), square(3), square(4)] == [9, 9, 16]
    assert calls == [3, 4]
    cuda.clear_memo()
    assert square(3) == 9
    assert calls == [3, 4, 3]
    assert square.__doc__ == "Square a number."


def test_cudnn():
    assert cuda.should_use_cudnn(">=auto") is False
    assert cuda.should_use_cudnn_tensor_core(np.float16) is False
    with pytest.raises(ValueError, match="invalid cuDNN use level: 'auto'"):
        cuda.should_use_cudnn("auto")


def test_asking_for_types_and_modules():
    x = np.ones(1)
    assert not isinstance(x, cuda.ndarray)
    assert cuda.get_array_module(x) is np
    assert cuda.get_array_module(x) is not cuda.cupy
