"""What is wrong with a tensor, and what to do about it."""

from __future__ import annotations

import functools
from typing import Any, NoReturn

import torch
from chainrule import _core
from chainrule.torch._parameter import TensorParameter

__all__ = ["check", "describe", "refuse"]

_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_REATTACH = (
    "call optimizer.reattach() to take what the model has now (rules and states are kept by name), "
    "or put the old one back"
)


def check(path: str, tensor: torch.Tensor) -> None:
    """Refuse a parameter that rules cannot update.

    Args:
        path: Its name.
        tensor: The parameter.

    Raises:
        TypeError: If dtype, layout, device or class are of a kind that there are no kernels for.
        ValueError: If several elements share memory, or there is none yet.
    """
    where = f"[chainrule.torch] {path}"
    if torch.nn.parameter.is_lazy(tensor):
        raise ValueError(
            f"{where} has no shape yet: call the model with a first batch before attach"
        )
    if tensor.device.type == "meta":
        raise TypeError(
            f"{where} is on the device 'meta' and has no memory: materialize the model "
            "(model.to_empty(device='cpu')) before attach"
        )
    if tensor.layout != torch.strided:
        raise TypeError(f"{where}: got the layout {tensor.layout}, expected torch.strided")
    if tensor.dtype.is_complex:
        raise TypeError(
            f"{where} is complex: got {tensor.dtype}; keep a real parameter and use "
            "torch.view_as_complex in forward, or set requires_grad=False to leave it out"
        )
    if tensor.dtype not in _DTYPES:
        raise TypeError(
            f"{where}: got {tensor.dtype}, expected float16, bfloat16, float32 or float64"
        )
    problem = _problem_with(tensor.device)
    if problem:
        raise TypeError(
            f"{where} is on a device that chainrule cannot use: got {tensor.device}{problem}; call "
            "model.cpu() before attach, or set requires_grad=False to leave it out"
        )
    _check_memory(where, tensor)


def _check_memory(where: str, tensor: torch.Tensor) -> None:
    kind = _kind(tensor)
    if tensor.is_nested:
        raise TypeError(f"{where} is nested: give each of its tensors as a parameter of its own")
    if hasattr(tensor, "__tensor_flatten__"):
        raise TypeError(
            f"{where}: got a {kind}, which is made of other tensors and has no memory itself: give "
            "those (to_local() of a DTensor) as parameters, or set requires_grad=False to leave it "
            "out"
        )
    if not _has_memory(tensor):
        raise TypeError(
            f"{where}: got a {kind} without memory of its own: it was freed, is made of other "
            "tensors or, in FakeTensorMode, never was there: expected elements that can be updated"
        )
    if tensor.is_neg():
        raise ValueError(
            f"{where}: its memory holds the negatives of its elements (a view such as x.conj().imag"
            "): use tensor.resolve_neg()"
        )
    if tensor.dim() > 8:
        raise ValueError(f"{where}: got {tensor.dim()} dimensions, expected at most 8")
    if _core.overlaps(tensor.shape, tensor.stride(), 1):
        raise ValueError(
            f"{where}: several elements share memory: got strides {tensor.stride()}; use "
            "tensor.clone() or contiguous()"
        )


def _has_memory(tensor: torch.Tensor) -> bool:
    try:
        storage = tensor.untyped_storage()
        # A fake tensor names the device that it stands for; its storage does not.
        if storage.device.type == "meta":
            return tensor.numel() == 0
        storage.data_ptr()
    except RuntimeError:  # inside of torch.func, or made of other tensors
        return False
    return tensor.numel() == 0 or storage.nbytes() > 0


def _kind(tensor: torch.Tensor) -> str:
    try:
        tensor.untyped_storage()
    except NotImplementedError:
        return f"{type(tensor).__name__} inside of torch.vmap or a transform of torch.func"
    return type(tensor).__name__


def _problem_with(device: torch.device) -> str:
    """Say why rules cannot work on a device; nothing where they can."""
    if device.type == "cpu":
        return ""
    if device.type != "cuda":
        return ", expected cpu or cuda"
    available, reason = _core.cuda_status()
    if not available:
        return f", and CUDA is not available to chainrule: {reason}"
    count = _core.cuda_device_count()
    if not 0 <= device.index < count:
        return f", expected one of the {count} GPUs that chainrule has found"
    return _problem_with_gpu(device.index)


@functools.cache
def _problem_with_gpu(index: int) -> str:
    try:
        _core.cuda_device_name(index)
    except RuntimeError as error:
        return f": {error}"
    return ""


def _check_gradient(path: str, tensor: torch.Tensor, gradient: torch.Tensor) -> None:
    where = f"[chainrule.torch] {path}"
    if gradient.layout != torch.strided:
        raise TypeError(
            f"{where}: the gradient is sparse: got {gradient.layout}, expected torch.strided; use "
            "nn.Embedding(sparse=False), or p.grad = p.grad.to_dense() before the step"
        )
    for what in ("shape", "dtype", "device"):
        got, expected = getattr(gradient, what), getattr(tensor, what)
        if got != expected:
            if what == "shape":
                got, expected = tuple(got), tuple(expected)
            raise TypeError(
                f"{where}: the gradient has another {what}: got {got}, expected {expected}"
            )
    if hasattr(gradient, "__tensor_flatten__") or not _has_memory(gradient):
        raise TypeError(
            f"{where}: the gradient has no memory of its own: got a {_kind(gradient)}, expected a "
            "tensor whose elements are there; set p.grad to such a one (to_local() of a DTensor, "
            "to_tensor(0) of a MaskedTensor), and call step outside of torch.func and "
            "FakeTensorMode"
        )


def refuse(
    path: str, what: Any, gradient: torch.Tensor | None, known: TensorParameter | None = None
) -> NoReturn:
    """Say why a step cannot be taken; nothing has been changed.

    Args:
        path: Name of the parameter or module.
        what: It.
        gradient: Its gradient, where that is the reason.
        known: The parameter as it was when it was attached.

    Raises:
        TypeError: Or ValueError, or RuntimeError: always one of them.
    """
    where = f"[chainrule.torch] {path}"
    if isinstance(what, torch.nn.Module):
        raise RuntimeError(f"{where}: the module was replaced after attach; {_REATTACH}")
    if gradient is not None:
        check(path, what)
        _check_gradient(path, what, gradient)
        if gradient.stride() != what.stride():
            check(f"{path}: the gradient", gradient)
    if known is not None and known._layout is not None:
        then = known._layout
        for name in ("device", "dtype", "shape"):
            got = getattr(what, name)
            if got != then[name]:
                if name == "shape":
                    raise ValueError(
                        f"{where} has another shape since attach: got {tuple(got)}, expected "
                        f"{tuple(then[name])}; {_REATTACH}"
                    )
                raise TypeError(
                    f"{where} was moved to another {name} after attach: got {got}, expected "
                    f"{then[name]}; move it back, or call optimizer.reattach(), after which states "
                    "are on the new device, or begin anew in the new dtype"
                )
    check(path, what)
    raise RuntimeError(f"{where} was replaced after attach; {_REATTACH}")


#: DLPack's numbers for devices and dtypes.
_CODES = {
    torch.float16: (2, 16),
    torch.bfloat16: (4, 16),
    torch.float32: (2, 32),
    torch.float64: (2, 64),
}


def describe(tensor: torch.Tensor) -> tuple[Any, ...] | None:
    """Tell where a tensor's memory is, for PyTorch without DLPack's C interface.

    Args:
        tensor: The tensor.

    Returns:
        Address, shape, strides, type and number of the device, type code and bits; None where
        there is no such memory.
    """
    if tensor.layout != torch.strided or tensor.dtype not in _CODES:
        return None
    device = {"cpu": 1, "cuda": 2}.get(tensor.device.type, 0), tensor.device.index or 0
    shape, strides = list(tensor.shape), list(tensor.stride())
    return (tensor.data_ptr(), shape, strides, device, *_CODES[tensor.dtype])
