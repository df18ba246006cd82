"""Arrays on a CUDA device as users see them: CuPy's."""

from __future__ import annotations

from typing import Any

from chainrule._core import Variable

__all__ = ["module", "on_cpu", "shown"]


def on_cpu(variable: Variable) -> Any:
    """Give a variable's data as a NumPy array, copied from a CUDA device if need be.

    Args:
        variable: Any.

    Returns:
        The array, or None where there is none.
    """
    if variable.__dlpack_device__()[0] == 1:
        return variable.array
    return Variable._from_dlpack(variable, (1, 0)).array


def module() -> Any:
    """Give CuPy.

    Returns:
        The module.

    Raises:
        RuntimeError: If it is not installed.
    """
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
    return module().from_dlpack(_Memory(variable))
