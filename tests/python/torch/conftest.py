"""GPUs for tests that name the fixture."""

import pytest

import emulated_device


@pytest.fixture
def gpus(monkeypatch):
    """PyTorch has GPUs, if chainrule has some: real ones, or emulated ones."""
    if emulated_device.DEVICES == 0:
        yield
        return
    torch = pytest.importorskip("torch.cuda", reason="PyTorch is not installed")
    if not emulated_device.is_used() and not torch.is_available():
        pytest.skip("this PyTorch has no CUDA")
    import torch_on_gpu

    with torch_on_gpu.emulated(monkeypatch):
        yield


@pytest.fixture
def real_gpu():
    """There is one, and PyTorch sees it too."""
    torch = pytest.importorskip("torch.cuda", reason="PyTorch is not installed")
    seen = emulated_device.DEVICES > 0 and torch.is_available()
    if not seen or emulated_device.is_used():
        pytest.skip("these need a real GPU and a PyTorch with CUDA")
