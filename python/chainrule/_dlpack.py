"""Arrays from other libraries, without copies."""

from __future__ import annotations

from typing import Any

from chainrule._core import Variable

__all__ = ["from_dlpack"]


def from_dlpack(
    cls: type[Variable], x: Any, *, device: Any = None, copy: bool | None = None
) -> Variable:
    """Make a variable on the memory of another library's array or tensor.

    Nothing is copied: both see what either writes, and the memory lives until both let go of it.
    What the other library calls read-only stays so. The other way, ``numpy.from_dlpack(variable)``
    and ``torch.from_dlpack(variable)`` do the same.

    Args:
        cls: The class that it is asked of.
        x: An object with ``__dlpack__`` and ``__dlpack_device__``, on the CPU: an array of NumPy,
            CuPy or JAX, a tensor of PyTorch, a Variable; or a capsule of DLPack's.
        device: None or ``'cpu'``.
        copy: Whether to copy; false and None never do.

    Returns:
        A variable, or a parameter where it is asked of :class:`chainrule.Parameter`.

    Raises:
        TypeError: If ``x`` is something else, or of a dtype that chainrule does not have.
        ValueError: If it has more than 8 dimensions, or the capsule has been used.
        BufferError: If the memory is not the CPU's, not aligned, or cannot be given.

    Example:
        >>> import numpy, chainrule
        >>> x = numpy.zeros(3, numpy.float32)
        >>> v = chainrule.Variable.from_dlpack(x)
        >>> v.array[0] = 1
        >>> x
        array([1., 0., 0.], dtype=float32)
    """
    if device not in (None, "cpu", (1, 0)):
        raise BufferError(f"[from_dlpack] device: got {device!r}, expected None or 'cpu'")
    made = Variable._from_dlpack(x, copy)
    return made if cls is Variable else cls(made.array)
