"""Arrays from other libraries, without copies."""

from __future__ import annotations

import re
from typing import Any

from chainrule._core import Variable
from chainrule.backend import CpuDevice, GpuDevice

__all__ = ["from_dlpack"]

_CPU, _CUDA = 1, 2  # as DLPack numbers kinds of devices


def _numbered(device: Any) -> tuple[int, int] | None:
    """Give DLPack's numbers of a device."""
    if device is None:
        return None
    if isinstance(device, CpuDevice) or device in ("cpu", "@numpy"):
        return _CPU, 0
    if isinstance(device, GpuDevice):
        return _CUDA, device.device
    if isinstance(device, tuple) and len(device) == 2:
        return int(device[0]), int(device[1])
    named = re.fullmatch(r"(?:cuda|@cupy)(?::(\d+))?", device) if isinstance(device, str) else None
    if named is None:
        raise ValueError(
            f"[from_dlpack] device: got {device!r}, expected None, 'cpu', 'cuda' or 'cuda:<number>'"
        )
    return _CUDA, int(named[1] or 0)


def from_dlpack(
    cls: type[Variable], x: Any, *, device: Any = None, copy: bool | None = None
) -> Variable:
    """Make a variable on the memory of another library's array or tensor.

    Nothing is copied: both see what either writes, and the memory lives until both let go of it.
    What the other library calls read-only stays so, as JAX's arrays are. The other way,
    ``numpy.from_dlpack(variable)`` and ``torch.from_dlpack(variable)`` do the same.

    On a CUDA device the other library is told which stream works here, and makes that wait for
    what it has yet to do. Letting go of such memory waits for the work on it.

    Args:
        cls: The class that it is asked of.
        x: An object with ``__dlpack__`` and ``__dlpack_device__``, on the CPU or on a CUDA
            device: an array of NumPy, CuPy or JAX, a tensor of PyTorch, a Variable; or a capsule
            of DLPack's.
        device: Where the variable is to be: None where ``x`` is, ``'cpu'``, ``'cuda'``,
            ``'cuda:1'``, a :class:`chainrule.backend.Device` or DLPack's pair of numbers. What
            lies elsewhere is copied.
        copy: Whether to copy; None only to get to ``device``, False never.

    Returns:
        A variable, or a parameter where it is asked of :class:`chainrule.Parameter`.

    Raises:
        TypeError: If ``x`` is something else, or of a dtype that chainrule does not have.
        ValueError: If it has more than 8 dimensions, the capsule has been used, or ``device`` is
            none.
        BufferError: If the memory is on a device that cannot be used, is not aligned, or cannot
            be given, or if it had to be copied and ``copy`` is False.

    Example:
        >>> import numpy, chainrule
        >>> x = numpy.zeros(3, numpy.float32)
        >>> v = chainrule.Variable.from_dlpack(x)
        >>> v.array[0] = 1
        >>> x
        array([1., 0., 0.], dtype=float32)
    """
    made = Variable._from_dlpack(x, _numbered(device), copy)
    if cls is Variable:
        return made
    if made.__dlpack_device__()[0] == _CPU:
        return cls(made.array)
    variable = cls()
    variable._share(made)
    return variable
