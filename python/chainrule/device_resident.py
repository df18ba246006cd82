"""What lives on a device and can be moved: links, and whatever holds arrays."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from chainrule.backend import Device, get_device

__all__ = ["DeviceResident", "DeviceResidentsVisitor"]

_Self = TypeVar("_Self", bound="DeviceResident")


class DeviceResident:
    """Base of objects with arrays on a device."""

    @property
    def device(self) -> Device:
        """The device the arrays are on."""
        return get_device("@numpy")

    @property
    def xp(self) -> Any:
        """The module that computes with the arrays: NumPy."""
        return np

    def to_cpu(self: _Self) -> _Self:
        """Move to the CPU.

        Returns:
            Self.
        """
        return self.to_device("@numpy")

    def to_gpu(self: _Self, device: Any = None) -> _Self:
        """Move to a GPU.

        Args:
            device: Number of the GPU; the first by default.

        Returns:
            Self.

        Raises:
            RuntimeError: If CUDA is not available.
        """
        return self.to_device(0 if device is None else device)

    def to_device(self: _Self, device: Any) -> _Self:
        """Move to a device.

        Args:
            device: What :func:`chainrule.get_device` takes.

        Returns:
            Self.

        Raises:
            RuntimeError: If CUDA is asked for and not available.
            NotImplementedError: If it is: this version keeps arrays on the CPU.
        """
        self.device_resident_accept(_ToDevice(get_device(device)))
        return self

    def to_chx(self: _Self) -> _Self:
        """Refuse: ChainerX's part is played by chainrule's own core.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError("ChainerX is not available.")

    def from_chx(self: _Self) -> _Self:
        """Do nothing: there are no ChainerX arrays.

        Returns:
            Self.
        """
        return self

    def to_intel64(self: _Self) -> _Self:
        """Do nothing: on a CPU oneDNN is used anyway.

        Returns:
            Self.
        """
        return self

    def device_resident_accept(self, visitor: DeviceResidentsVisitor) -> None:
        """Show everything that lies on a device to a visitor.

        Args:
            visitor: The visitor; a subclass shows it its arrays and children too.
        """
        visitor.visit_device_resident(self)


class DeviceResidentsVisitor:
    """Walks over objects, Variables and arrays of a :class:`DeviceResident`."""

    def visit_device_resident(self, device_resident: DeviceResident) -> None:
        """Meet an object.

        Args:
            device_resident: The object.
        """

    def visit_array(self, arr: Any) -> Any:
        """Meet an array.

        Args:
            arr: The array.

        Returns:
            The array to put in its place.
        """
        return arr

    def visit_variable(self, param: Any) -> None:
        """Meet a Variable.

        Args:
            param: The Variable.
        """


class _ToDevice(DeviceResidentsVisitor):
    """Moves what it meets to one device."""

    def __init__(self, device: Device) -> None:
        self._device = device

    def visit_array(self, arr: Any) -> Any:
        return self._device.send(arr)

    def visit_variable(self, param: Any) -> None:
        param.to_device(self._device)
