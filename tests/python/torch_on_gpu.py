"""PyTorch's tensors on a GPU for tests: real ones, or on the emulated devices.

PyTorch for CPUs has no tensors on a GPU. There its tensors lie in the memory of an emulated device,
which the host must not touch (tests/cpp/emulation ends the process then): views and attributes
work, and whoever wants to see or set the numbers uses :func:`read` and :func:`write`.
"""

from __future__ import annotations

import contextlib
import ctypes
import weakref
from collections.abc import Iterator

import numpy as np
import pytest

import chainrule.torch
import emulated_device
import torch
from chainrule import Variable, _core
from chainrule.torch import _facade, _refusals, _sharp, _streams
from torch_models import make_net

attach = chainrule.torch.attach
SHAPES = [(5, 7), (3,), (), (2, 3, 4), (0, 3), (1030,)]

_blocks: weakref.WeakSet = weakref.WeakSet()
#: The stream that PyTorch is said to work on, by device.
streams: dict[int, int] = {}


def _emulated() -> bool:
    return emulated_device.is_used()


def _gpu_of(tensor: torch.Tensor) -> int | None:
    start = tensor.data_ptr()
    for block in _blocks:
        if block.start <= start < block.start + block.size:
            return block.gpu
    return None


class GpuParameter(torch.nn.Parameter):
    """A parameter that says where its memory is."""

    @property
    def device(self):
        gpu = _gpu_of(self)
        return torch.device("cpu") if gpu is None else torch.device("cuda", gpu)


def _on_memory(owner: object, start: int, size: int, gpu: int) -> torch.Tensor:
    """Give bytes as a tensor; nothing is read."""
    kind = type("Block", (ctypes.c_uint8 * max(size, 1),), {"__hash__": object.__hash__})
    block = kind.from_address(start)
    block.owner, block.start, block.size, block.gpu = owner, start, max(size, 1), gpu
    _blocks.add(block)
    return torch.from_numpy(np.ctypeslib.as_array(block))[:size]


def put(tensor: torch.Tensor, gpu: int = 0) -> torch.Tensor:
    """Copy a tensor to a GPU, in C order."""
    tensor = tensor.detach().contiguous()
    if not _emulated():
        return tensor.to(f"cuda:{gpu}", copy=True)
    bits = tensor.reshape(-1).view(torch.uint8).numpy()
    there = emulated_device.there(np.resize(bits, max(bits.size, 1)), f"cuda:{gpu}")
    where = emulated_device.address(there)
    found = _on_memory(there, where, bits.size, gpu)
    return found.view(tensor.dtype).view(tensor.shape)


def parameter(tensor: torch.Tensor) -> torch.nn.Parameter:
    """Make a parameter of a tensor on a GPU."""
    return GpuParameter(tensor) if _emulated() else torch.nn.Parameter(tensor)


_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def _seen(tensor: torch.Tensor) -> Variable:
    """Give a variable on a tensor's memory, as integers."""
    size = tensor.element_size()
    about = {
        "shape": tuple(tensor.shape),
        "strides": tuple(size * stride for stride in tensor.stride()),
        "typestr": f"<i{size}" if size > 1 else "|i1",
        "data": (tensor.data_ptr(), False),
        "version": 3,
    }
    return Variable(type("Foreign", (), {"__cuda_array_interface__": about})())


def read(tensor: torch.Tensor) -> torch.Tensor:
    """Copy a tensor to the CPU, wherever it is."""
    if not _emulated() or tensor.numel() == 0 or _gpu_of(tensor) is None:
        return tensor.detach().cpu().clone()
    copied = torch.from_numpy(emulated_device.back(_seen(tensor)).copy())
    return copied.contiguous().view(tensor.dtype)


def write(tensor: torch.Tensor, values: torch.Tensor) -> None:
    """Set the numbers of a tensor on a GPU."""
    values = values.to(tensor.dtype).contiguous()
    if not _emulated():
        tensor.data.copy_(values)
    else:
        bits = values.view(_INTEGERS[tensor.element_size()]).numpy()
        _seen(tensor).copydata(Variable(bits))


def _describe(tensor: torch.Tensor):
    found = _refusals.describe(tensor)
    gpu = _gpu_of(tensor)
    if found is None or gpu is None:
        return found
    return (*found[:3], (2, gpu), *found[4:])


_from_dlpack_of_torch = torch.from_dlpack


def _from_dlpack(variable: Variable) -> torch.Tensor:
    if variable.__dlpack_device__()[0] == 1:
        return _from_dlpack_of_torch(variable)
    about = variable.__cuda_array_interface__
    kind = torch.from_numpy(np.zeros(0, about["typestr"])).dtype
    count = int(np.prod(about["shape"], dtype=int))
    gpu = variable.__dlpack_device__()[1]
    size = count * kind.itemsize
    return _on_memory(variable, about["data"][0], size, gpu).view(kind).view(about["shape"])


@contextlib.contextmanager
def emulated(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let PyTorch seem to have GPUs, where it has none."""
    if not _emulated():
        yield
        return

    class Plain:
        """A tensor class without DLPack's C interface."""

    native = _core.BorrowedTensors

    def borrowed(kind, plain, describe, *others):
        return native(Plain, (), _describe, *others)

    @contextlib.contextmanager
    def on_our_streams(gpus):
        before = dict(streams)
        streams.clear()
        try:
            yield
        finally:
            streams.update(before)

    streams.clear()
    monkeypatch.setattr(_core, "BorrowedTensors", borrowed)
    monkeypatch.setattr(_streams, "current_stream", lambda gpu: streams.get(gpu, 0))
    monkeypatch.setattr(_facade, "on_our_streams", on_our_streams)
    monkeypatch.setattr(_sharp, "on_our_streams", on_our_streams)
    monkeypatch.setattr(torch, "from_dlpack", _from_dlpack)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    yield
    streams.clear()


def on_both(shapes, dtype=torch.float32, gpu: int = 0, seed: int = 0):
    """Make parameters on a GPU, and the same ones on the CPU."""
    generator = torch.Generator().manual_seed(seed)
    values = [torch.randn(shape, generator=generator).to(dtype) for shape in shapes]
    there = {f"p{i}": parameter(put(value, gpu)) for i, value in enumerate(values)}
    here = {f"p{i}": torch.nn.Parameter(value.clone()) for i, value in enumerate(values)}
    return there, here


def give_gradients(there, here, step: int, scale: float = 1.0) -> None:
    """Give both the same gradients."""
    generator = torch.Generator().manual_seed(1000 + step)
    for name, p in here.items():
        p.grad = (scale * torch.randn(p.shape, generator=generator)).to(p.dtype)
        gpu = there[name].device.index
        there[name].grad = p.grad.clone() if gpu is None else put(p.grad, gpu)


def assert_near(there, here, tolerance: float) -> None:
    """Compare with a tolerance relative to each tensor's largest number."""
    for name, p in here.items():
        got, expected = read(there[name]).double(), read(p).double()
        worst = (got - expected).abs().max().item() if p.numel() else 0.0
        scale = max(1.0, expected.abs().max().item()) if p.numel() else 1.0
        assert worst <= tolerance * scale, f"{name}: {worst / scale}"


def both(make, shapes=SHAPES, dtype=torch.float32, gpu=0):
    """Attach optimizers that are made alike to parameters on a GPU and to the same on the CPU."""
    there, here = on_both(shapes, dtype, gpu)
    return there, here, attach(there, make()), attach(here, make())


def run(there, here, optimizer, reference, steps, scale=1.0, first=0):
    for step in range(first, first + steps):
        give_gradients(there, here, step, scale)
        optimizer.step()
        reference.step()


# Models on a real one


def net(dtype=torch.float32):
    return make_net(dtype=dtype).cuda()


def data(step, dtype=torch.float32):
    generator = torch.Generator().manual_seed(step)
    x = torch.randn(64, 4, generator=generator).to("cuda", dtype)
    return x, x.sum(1, keepdim=True).tanh()


def loss_of(model, step, dtype=torch.float32):
    x, y = data(step, dtype)
    return ((model(x) - y) ** 2).float().mean()


def train(model, optimizer, steps, first=0, dtype=torch.float32):
    losses = []
    for step in range(first, first + steps):
        optimizer.zero_grad()
        loss = loss_of(model, step, dtype)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses)
