"""Devices: where arrays live and which module computes with them."""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule._core import Variable
from chainrule.backends import cuda

__all__ = [
    "CpuDevice",
    "Device",
    "GpuDevice",
    "copyto",
    "get_array_module",
    "get_array_types",
    "get_cpu_array_types",
    "get_device",
    "get_device_from_array",
    "is_arrays_compatible",
    "using_device",
]

DeviceSpec = "Device | cuda.Device | int | str"


class Device:
    """Base of devices."""

    #: What follows ``xp`` in code that runs on any device.
    xp: Any = None
    #: Types of arrays that lie on such a device.
    supported_array_types: tuple[type, ...] = ()
    #: The text that :func:`get_device` understands.
    name: str = ""

    def __enter__(self) -> Device:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        return None

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.name == getattr(other, "name", None)

    def __hash__(self) -> int:
        return hash(self.name)

    def __str__(self) -> str:
        return self.name

    def create_context(self) -> Device:
        """Give a context manager inside which this device is the current one.

        Returns:
            The device.
        """
        return self

    def use(self) -> None:
        """Make this the current device."""

    def is_array_supported(self, array: object) -> bool:
        """Tell whether an array lies on this device.

        Args:
            array: Any object.

        Returns:
            True if it does.
        """
        return isinstance(array, self.supported_array_types)

    def send(self, arrays: Any) -> Any:
        """Bring arrays to this device.

        Args:
            arrays: An array or number, or a list or tuple of them and of None.

        Returns:
            The same on this device; arrays that are there already are not copied.

        Raises:
            TypeError: If something is no array.
        """
        if isinstance(arrays, (list, tuple)):
            return type(arrays)(None if a is None else self.send_array(a) for a in arrays)
        return self.send_array(arrays)

    def send_array(self, array: Any) -> Any:
        """Bring one array to this device.

        Args:
            array: An array or a number.

        Returns:
            The array on this device.

        Raises:
            TypeError: If it is no array.
        """
        raise NotImplementedError


class CpuDevice(Device):
    """The CPU; arrays are NumPy's."""

    xp = np
    supported_array_types = (np.ndarray,)
    name = "@numpy"

    def __repr__(self) -> str:
        return "<CpuDevice (numpy)>"

    @staticmethod
    def from_array(array: object) -> CpuDevice | None:
        """Give the device of an array.

        Args:
            array: Any object.

        Returns:
            The CPU for a NumPy array, None otherwise.
        """
        return CpuDevice() if isinstance(array, np.ndarray) else None

    def send_array(self, array: Any) -> np.ndarray:
        """Bring one array to the CPU.

        Args:
            array: A NumPy array or a number.

        Returns:
            A NumPy array; ``array`` itself where it is one.

        Raises:
            TypeError: If it is no array.
        """
        if not isinstance(array, np.ndarray) and not np.isscalar(array):
            raise TypeError(
                f"[CpuDevice] got {type(array).__name__}, expected a NumPy array or a number"
            )
        return np.asarray(array)


class GpuDevice(Device):
    """A CUDA device.

    Args:
        device: Its number.

    Raises:
        RuntimeError: If CUDA is not available.
    """

    supported_array_types = ()

    def __init__(self, device: int) -> None:
        cuda.check_cuda_available()
        self.device = device
        self.name = f"@cupy:{device}"

    def __repr__(self) -> str:
        return f"<GpuDevice (cupy):{self.device}>"

    @staticmethod
    def from_device_id(device_id: int) -> GpuDevice:
        """Give a device by number.

        Args:
            device_id: The number.

        Returns:
            The device.

        Raises:
            RuntimeError: If CUDA is not available.
        """
        return GpuDevice(device_id)


_cpu = CpuDevice()


def get_device(device_spec: Any) -> Device:
    """Give a device.

    Args:
        device_spec: ``'@numpy'`` or a negative number for the CPU, ``'@cupy:0'`` or 0 for the
            first GPU, or a device.

    Returns:
        The device.

    Raises:
        TypeError: If the argument is of another type.
        ValueError: If there is no such kind of device.
        RuntimeError: If CUDA is asked for and not available.

    Example:
        >>> get_device("@numpy")
        <CpuDevice (numpy)>
    """
    if isinstance(device_spec, Device):
        return device_spec
    if device_spec is cuda.DummyDevice:
        return _cpu
    text = device_spec.strip() if isinstance(device_spec, str) else None
    if text is not None and text.lstrip("-").isdigit():
        device_spec = int(text)
    if isinstance(device_spec, (int, np.integer)):
        return _cpu if device_spec < 0 else GpuDevice(int(device_spec))
    if text is None:
        raise TypeError(
            f"[get_device] got {type(device_spec).__name__}, expected a device, a number or a "
            "string such as '@numpy' or '@cupy:0'"
        )
    if text == "@numpy":
        return _cpu
    kind, _, number = text.partition(":")
    if kind == "@cupy" and number.isdigit():
        return GpuDevice(int(number))
    raise ValueError(f"[get_device] got {device_spec!r}, expected '@numpy' or '@cupy:<number>'")


def get_device_from_array(*arrays: Any) -> Device:
    """Give the device that arrays lie on.

    Args:
        *arrays: Arrays or Variables.

    Returns:
        The CPU, where all arrays lie that there are.
    """
    return _cpu


def using_device(device_spec: Any) -> Device:
    """Make a device the current one for a block.

    Args:
        device_spec: What :func:`get_device` takes.

    Returns:
        A context manager.
    """
    return get_device(device_spec).create_context()


def get_array_module(*args: Any) -> Any:
    """Give the module that computes with arrays.

    Args:
        *args: Arrays or Variables.

    Returns:
        NumPy.
    """
    return np


def copyto(dst: np.ndarray, src: Any) -> None:
    """Copy an array into another, broadcasting as ``numpy.copyto`` does.

    Args:
        dst: Array to write into.
        src: Array to read.

    Raises:
        TypeError: If one of them is no array.
    """
    if any(isinstance(x, Variable) for x in (dst, src)):
        raise TypeError("[copyto] got a Variable, expected arrays: use Variable.copydata")
    if not isinstance(dst, np.ndarray):
        raise TypeError(f"[copyto] got {type(dst).__name__}, expected an array")
    np.copyto(dst, _cpu.send_array(src))


def get_array_types() -> tuple[type, ...]:
    """Give the types that count as arrays.

    Returns:
        A tuple of types.
    """
    return (np.ndarray,)


def get_cpu_array_types() -> tuple[type, ...]:
    """Give the types of arrays on the CPU.

    Returns:
        A tuple of types.
    """
    return (np.ndarray,)


def is_arrays_compatible(arrays: Sequence[Any]) -> bool:
    """Tell whether arrays can be computed with together.

    Args:
        arrays: Arrays, or None.

    Returns:
        True if all are NumPy arrays.
    """
    return all(array is None or isinstance(array, np.ndarray) for array in arrays)
