"""Where a variable's data lie; arrays on a CUDA device as users see them, which are CuPy's."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._core import Variable
from chainrule.backend import CpuDevice, GpuDevice, get_device

__all__ = [
    "as_numpy",
    "beside",
    "device",
    "from_chx",
    "is_elsewhere",
    "like",
    "on_cpu",
    "shown",
    "taken",
    "to_chx",
    "to_cpu",
    "to_device",
    "to_gpu",
    "to_intel64",
    "xp",
]

_CPU = 1, 0  # as DLPack numbers devices


def device(self: Variable) -> Any:
    """The device the data are on."""
    kind, index = self.__dlpack_device__()
    return CpuDevice() if kind == _CPU[0] else GpuDevice(index)


def xp(self: Variable) -> Any:
    """The module that computes with the data: NumPy, or CuPy on a CUDA device."""
    return np if self.__dlpack_device__() == _CPU else _cupy()


def to_device(self: Variable, device: Any) -> None:
    """Move data and gradient to a device: what :func:`chainrule.get_device` takes."""
    target = get_device(device)
    if target == self.device:
        return
    if isinstance(target, GpuDevice):
        raise NotImplementedError(
            f"[to_device] models stay on the CPU in this version: got {target}; a single array is "
            f"copied there by Variable.from_dlpack(x, device='cuda:{target.device}')"
        )
    grad = self.grad_var
    self._share(Variable._from_dlpack(self, _CPU))
    if grad is not None:
        self.grad_var = Variable._from_dlpack(grad, _CPU)


def to_cpu(self: Variable) -> None:
    """Move data and gradient to the CPU."""
    self.to_device("@numpy")


def to_gpu(self: Variable, device: Any = None) -> None:
    """Move data and gradient to a GPU, named by its number; the first by default."""
    self.to_device(0 if device is None else device)


def to_chx(self: Variable) -> None:
    """Refuse: ChainerX's part is played by chainrule's own core.

    Raises:
        RuntimeError: Always.
    """
    raise RuntimeError("ChainerX is not available.")


def from_chx(self: Variable) -> None:
    """Do nothing: there are no ChainerX arrays."""


def to_intel64(self: Variable) -> None:
    """Do nothing: on a CPU oneDNN is used anyway."""


def on_cpu(variable: Variable) -> Any:
    """Give a variable's data as a NumPy array, copied from a CUDA device if need be.

    Args:
        variable: Any.

    Returns:
        The array, or None where there is none.
    """
    if variable.__dlpack_device__() == _CPU:
        return variable.array
    return Variable._from_dlpack(variable, _CPU).array


def as_numpy(value: Any) -> np.ndarray:
    """Give a value as a NumPy array, copied from a CUDA device if need be.

    Args:
        value: A Variable, an array or tensor of any library, or a number.

    Returns:
        The array.
    """
    if isinstance(value, Variable):
        return np.asarray(on_cpu(value))
    if not is_elsewhere(value):
        try:
            return np.asarray(value)
        except TypeError:
            if not hasattr(value, "__dlpack__"):
                raise  # PyTorch gives NumPy no bfloat16
    return np.asarray(on_cpu(Variable._from_dlpack(value)))


def is_elsewhere(value: Any) -> bool:
    """Tell whether an array is out of NumPy's reach.

    Args:
        value: A Variable, an array or tensor of any library, or anything else.

    Returns:
        True for what lies on a CUDA device.
    """
    if isinstance(value, np.ndarray):
        return False
    found = getattr(value, "__dlpack_device__", None)
    return found is not None and found()[0] != _CPU[0]


def taken(value: Any) -> Any:
    """Give what the core takes of an array: a NumPy array, or a Variable on a CUDA device.

    Args:
        value: An array or tensor of any library, or a number.

    Returns:
        Either, on the same memory where there is some.
    """
    return Variable._from_dlpack(value) if is_elsewhere(value) else np.asarray(value)


def like(array: Any, values: Any) -> Any:
    """Give numbers as an array of the library that another array is of, on its device.

    Args:
        array: The other array: NumPy's, CuPy's, a tensor of PyTorch; or no array.
        values: A NumPy array.

    Returns:
        A new array; ``values`` itself where ``array`` is NumPy's or none.
    """
    if hasattr(array, "new_tensor"):
        known = values if values.dtype.kind in "biuf" else values.astype(np.float32)  # bfloat16
        return array.new_tensor(known)
    if is_elsewhere(array) and not isinstance(array, Variable):
        made = array.copy()
        made.set(np.ascontiguousarray(values, array.dtype))
        return made
    return values


def beside(array: Any, variable: Variable) -> Any:
    """Give an array that is kept for a variable, on that variable's device.

    Args:
        array: An array; or a Variable, as which arrays on a CUDA device are kept.
        variable: The variable.

    Returns:
        A NumPy array, or a Variable on a CUDA device; ``array`` itself where it is there.
    """
    there = variable.__dlpack_device__()
    if there == _CPU:
        return on_cpu(array) if isinstance(array, Variable) else array
    source = array if isinstance(array, Variable) else taken(array)
    source = source if isinstance(source, Variable) else Variable(source)
    return source if source.__dlpack_device__() == there else Variable._from_dlpack(source, there)


def _cupy() -> Any:
    try:
        import cupy
    except ImportError as error:
        raise RuntimeError(
            f"[array] arrays on a CUDA device are CuPy's, which cannot be imported ({error}): "
            "install cupy, let torch.from_dlpack(variable) take the memory, or copy it with "
            "Variable.from_dlpack(variable, device='cpu')"
        ) from error
    return cupy


class _Memory:
    """A variable's memory for CuPy, which takes any strides."""

    def __init__(self, variable: Variable) -> None:
        self.__dlpack_device__ = variable.__dlpack_device__
        self.__dlpack__ = variable._dlpack_of_any_strides


def shown(variable: Variable) -> Any:
    """Give the CuPy array on a variable's memory.

    Args:
        variable: One whose data lie on a CUDA device.

    Returns:
        A view of the same memory.

    Raises:
        RuntimeError: If CuPy is not installed.
    """
    return _cupy().from_dlpack(_Memory(variable))
