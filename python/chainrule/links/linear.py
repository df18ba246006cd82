"""The linear (fully connected, dense) layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chainrule import initializers
from chainrule._core import Variable, linear
from chainrule.initializers import InitializerLike
from chainrule.link import Link
from chainrule.variable import Parameter

__all__ = ["Linear"]


class Linear(Link):
    r"""A linear layer: :math:`y = x W^\top + b`.

    ``Linear(out_size)`` and ``Linear(None, out_size)`` leave the input's size open until the first
    call.

    Args:
        in_size: Size of an input, or None.
        out_size: Size of an output.
        nobias: Leave out :math:`b`.
        initialW: What :math:`W` is filled with; :class:`~chainrule.initializers.LeCunNormal` by
            default.
        initial_bias: What :math:`b` is filled with; zeros by default.

    Attributes:
        W: The weight, of shape ``(out_size, in_size)``.
        b: The bias, of shape ``(out_size,)``, or None.
        in_size: Size of an input, or None before the first call.
        out_size: Size of an output.

    Example:
        >>> import chainrule.links as L, numpy
        >>> layer = L.Linear(None, 4)
        >>> layer(numpy.ones((2, 3), numpy.float32)).shape
        (2, 4)
        >>> layer.W.shape
        (4, 3)
    """

    W: Parameter
    b: Parameter | None
    in_size: int | None
    # Whether W is known to have its shape; asked for at every call.
    _sized = False

    def __init__(
        self,
        in_size: int | None,
        out_size: int | None = None,
        nobias: bool = False,
        initialW: InitializerLike = None,
        initial_bias: InitializerLike = None,
    ) -> None:
        super().__init__()
        if out_size is None:
            in_size, out_size = None, in_size
        if out_size is None:
            raise TypeError("[Linear] out_size: got None, expected an integer")
        self.in_size = in_size
        self.out_size = out_size
        self.nobias = nobias
        with self.init_scope():
            shape = None if in_size is None else (out_size, in_size)
            self.W = Parameter(initializers._get_initializer(initialW), shape)
            if nobias:
                self.b = None
            else:
                self.b = Parameter(0 if initial_bias is None else initial_bias, out_size)

    @classmethod
    def from_params(cls, W: Any, b: Any = None, nobias: bool = False) -> Linear:
        """Make a layer with given weight and bias.

        Args:
            W: The weight, of shape ``(out_size, in_size)``: a Variable or an array.
            b: The bias, of shape ``(out_size,)``, or None.
            nobias: Leave out the bias.

        Returns:
            The layer; it works on copies.

        Raises:
            ValueError: If shapes do not suit each other.
        """
        weight = W.array if isinstance(W, Variable) else W
        bias = b.array if isinstance(b, Variable) else b
        out_size, in_size = weight.shape
        if bias is not None and bias.shape != (out_size,):
            raise ValueError(f"[Linear] shape of b: got {bias.shape}, expected {(out_size,)}")
        return cls(in_size, out_size, nobias or bias is None, initialW=weight, initial_bias=bias)

    @property
    def printable_specs(self) -> Iterator[tuple[str, Any]]:
        """Pairs of name and value that describe the layer in ``str(layer)``."""
        yield "in_size", self.in_size
        yield "out_size", self.out_size
        yield "nobias", self.nobias

    def _size(self, x: Any, n_batch_axes: int) -> None:
        if not self.W.is_initialized:
            in_size = 1
            for extent in x.shape[n_batch_axes:]:
                in_size *= extent
            self.W.initialize((self.out_size, in_size))
        self.in_size = self.W.shape[1]
        self._sized = True

    def forward(self, x: Any, n_batch_axes: int = 1) -> Variable:
        """Apply the layer.

        Args:
            x: Array or Variable of shape ``(batch, ...)``; what follows the batch axes is seen as
                one axis of ``in_size`` elements.
            n_batch_axes: How many axes come before the input's.

        Returns:
            A Variable of shape ``(batch, out_size)``.

        Raises:
            ValueError: If the input has another size.
            TypeError: If dtypes differ.
        """
        if not self._sized:
            self._size(x, n_batch_axes)
        try:
            return linear(x, self.W, self.b, n_batch_axes)
        except TypeError:
            if self.W.is_initialized:
                raise
        self._size(x, n_batch_axes)  # somebody has taken the array away
        return linear(x, self.W, self.b, n_batch_axes)
