"""CUDA: whether it can be used, and if not, why.

``available`` tells whether a GPU can be used; ``reason`` says in one sentence what is in the way.
Both look only when first asked for, so importing chainrule never touches a driver.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from chainrule import _core

__all__ = [
    "Device",
    "DummyDevice",
    "DummyDeviceType",
    "check_cuda_available",
    "clear_memo",
    "cudnn_enabled",
    "cupy",
    "get_array_module",
    "get_device_from_array",
    "get_device_from_id",
    "memoize",
    "memory_pool",
    "ndarray",
    "should_use_cudnn",
    "should_use_cudnn_tensor_core",
    "to_cpu",
    "to_gpu",
]

available: bool
reason: str

#: cuDNN is not used.
cudnn_enabled = False
#: Stands for CuPy where that is not installed, so that ``xp is cupy`` can be asked.
cupy: Any = object()

_F = TypeVar("_F", bound=Callable[..., Any])


class ndarray:
    """Stands for CuPy's array type, so that ``isinstance(x, cuda.ndarray)`` can be asked."""


def __getattr__(name: str) -> Any:
    if name in ("available", "reason"):
        status = _core.cuda_status()
        return status[0] if name == "available" else status[1]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class DummyDeviceType:
    """The device of arrays that are on no GPU."""

    id = -1

    def __enter__(self) -> DummyDeviceType:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        return None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DummyDeviceType)

    def __hash__(self) -> int:
        return hash(type(self))

    def __int__(self) -> int:
        return -1

    def use(self) -> None:
        """Do nothing."""

    def synchronize(self) -> None:
        """Do nothing."""


DummyDevice = DummyDeviceType()


class Device:
    """A CUDA device.

    Args:
        device: Its number.

    Raises:
        RuntimeError: If CUDA is not available.
    """

    def __init__(self, device: int | None = None) -> None:
        check_cuda_available()
        self.id = 0 if device is None else int(device)


class MemoryPool:
    """The memory of GPUs that arrays of chainrule use, or that is kept for the next ones.

    Methods are named as those of CuPy's pool, which Chainer had under this name. Freed memory is
    kept until memory runs out, so that no update waits for the driver; a program in which another
    library needs it can have it returned.

    Example:
        >>> import chainrule
        >>> chainrule.cuda.memory_pool.free_all_blocks()
        >>> chainrule.cuda.memory_pool.free_bytes()
        0
    """

    @staticmethod
    def _sum(key: str) -> int:
        devices = range(_core.cuda_device_count())
        return sum(_core.cuda_memory_info(i)[key] for i in devices)

    def free_all_blocks(self) -> None:
        """Return to the driver what no array uses, on all GPUs, after waiting for their work."""
        for i in range(_core.cuda_device_count()):
            _core.cuda_release_cached_memory(i)

    def used_bytes(self) -> int:
        """Tell how many bytes arrays use, on all GPUs."""
        return self._sum("in_use")

    def free_bytes(self) -> int:
        """Tell how many bytes are kept for reuse, on all GPUs."""
        return self._sum("cached")

    def total_bytes(self) -> int:
        """Tell how many bytes were taken from the driver, on all GPUs."""
        return self.used_bytes() + self.free_bytes()


#: The memory that chainrule has taken on GPUs.
memory_pool = MemoryPool()


def check_cuda_available() -> None:
    """Make sure that CUDA can be used.

    Raises:
        RuntimeError: If not; the message says why.
    """
    usable, why = _core.cuda_status()
    if not usable:
        raise RuntimeError(f"[cuda] CUDA is not available: {why}")


def _arrays_not_yet() -> NotImplementedError:
    return NotImplementedError(
        "[cuda] a GPU was found, but arrays on a GPU are not supported by this version"
    )


def to_gpu(array: Any, device: Any = None, stream: Any = None) -> Any:
    """Bring arrays to a GPU.

    Args:
        array: An array, or a list or tuple of them.
        device: Number of the GPU.
        stream: Kept for Chainer's signature.

    Raises:
        RuntimeError: If CUDA is not available.
        NotImplementedError: If it is: this version keeps arrays on the CPU.
    """
    check_cuda_available()
    raise _arrays_not_yet()


def to_cpu(array: Any, stream: Any = None) -> Any:
    """Bring arrays to the CPU.

    Args:
        array: An array or a number, or a list or tuple of them and of None.
        stream: Kept for Chainer's signature.

    Returns:
        The same as NumPy arrays; those that are such already are not copied.
    """
    if isinstance(array, (list, tuple)):
        return type(array)(None if a is None else to_cpu(a) for a in array)
    if not isinstance(array, np.ndarray) and not np.isscalar(array):
        raise TypeError(f"[to_cpu] got {type(array).__name__}, expected an array or a number")
    return np.asarray(array)


def get_array_module(*args: Any) -> Any:
    """Give the module that computes with arrays.

    Args:
        *args: Arrays or Variables.

    Returns:
        NumPy.
    """
    return np


def get_device_from_id(device_id: int | None) -> Any:
    """Give a device by number.

    Args:
        device_id: The number; None or a negative one stands for no GPU.

    Returns:
        The device.

    Raises:
        RuntimeError: If CUDA is not available.
    """
    if device_id is not None and device_id >= 0:
        return Device(device_id)
    return DummyDevice


def get_device_from_array(*array: Any) -> Any:
    """Give the device that arrays lie on.

    Args:
        *array: Arrays.

    Returns:
        ``DummyDevice`` for arrays on the CPU.
    """
    return DummyDevice


def get_device(*args: Any) -> Any:
    """Give the device of the first number or array; kept for old scripts.

    Args:
        *args: Numbers of devices, arrays or None.

    Returns:
        The device.

    Raises:
        RuntimeError: If a GPU is named and CUDA is not available.
    """
    for arg in args:
        if isinstance(arg, (int, np.integer)) and not isinstance(arg, bool):
            return get_device_from_id(int(arg))
    return DummyDevice


def memoize(for_each_device: bool = False) -> Callable[[_F], _F]:
    """Make a function remember its results, until :func:`clear_memo`.

    Args:
        for_each_device: Kept for Chainer's signature.

    Returns:
        A decorator.
    """

    def decorate(function: _F) -> _F:
        cached = functools.lru_cache(maxsize=None)(function)
        _memos.append(cached)
        return functools.wraps(function)(cached)  # type: ignore[return-value]

    return decorate


_memos: list[Any] = []


def clear_memo() -> None:
    """Forget what functions with :func:`memoize` remember."""
    for cached in _memos:
        cached.cache_clear()


def should_use_cudnn(level: str, lowest_version: int = 0) -> bool:
    """Tell whether cuDNN is to be used.

    Args:
        level: ``'==always'`` or ``'>=auto'``.
        lowest_version: The version needed.

    Returns:
        False: cuDNN is not used.

    Raises:
        ValueError: If ``level`` is another.
    """
    if level not in ("==always", ">=auto"):
        raise ValueError(
            f"invalid cuDNN use level: {level!r} (must be either of '==always' or '>=auto')"
        )
    return False


def should_use_cudnn_tensor_core(dtype: Any) -> bool:
    """Tell whether cuDNN may use tensor cores.

    Args:
        dtype: Dtype of the data.

    Returns:
        False: cuDNN is not used.
    """
    return False
