"""Layers one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from chainrule.chain import ChainList
from chainrule.link import Link

__all__ = ["Sequential"]

Layer = Callable[..., Any]
_Self = TypeVar("_Self", bound="Sequential")


class Sequential(ChainList):
    """A link that calls its layers in turn, each with the result of the one before.

    Layers are links or any other callables; a tuple is passed on as several arguments. Only links
    count in the names of parameters: ``Sequential(Linear, relu, Linear)`` has ``/0/W`` and
    ``/1/W``.

    Args:
        *layers: The layers.

    Raises:
        ValueError: If one is not callable.

    Example:
        >>> import chainrule, numpy
        >>> import chainrule.functions as F
        >>> import chainrule.links as L
        >>> model = chainrule.Sequential(L.Linear(2, 3), F.relu, L.Linear(3, 1))
        >>> model(numpy.ones((4, 2), numpy.float32)).shape
        (4, 1)
    """

    def __init__(self, *layers: Layer) -> None:
        super().__init__()
        for layer in layers:
            _check_layer(layer)
        self._layers: list[Any] = list(layers)
        self._renumber()

    def _renumber(self) -> None:
        self._children = [layer for layer in self._layers if isinstance(layer, Link)]
        self._number()

    def forward(self, *x: Any) -> Any:
        """Call all layers in turn.

        Args:
            *x: Arguments of the first layer.

        Returns:
            What the last layer returns.

        Raises:
            RuntimeError: If there are no layers.
        """
        if not self._layers:
            raise RuntimeError("Sequential does not have any layer.")
        out: Any = x
        for layer in self._layers:
            out = layer(*out) if isinstance(out, tuple) else layer(out)
        return out

    def _printed(self) -> Iterable[tuple[str, Any]]:
        return [(str(index), layer) for index, layer in enumerate(self._layers)]

    def __len__(self) -> int:
        return len(self._layers)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._layers)

    def __reversed__(self) -> Iterator[Any]:
        return reversed(self._layers)

    def __contains__(self, item: object) -> bool:
        return item in self._layers

    def __getitem__(self, i: Any) -> Any:
        return self._layers[i]

    def __setitem__(self, i: Any, layer: Any) -> None:
        if isinstance(i, slice):
            layer = list(layer)
            for item in layer:
                _check_layer(item)
        else:
            _check_layer(layer)
        self._layers[i] = layer
        self._renumber()

    def __delitem__(self, i: Any) -> None:
        del self._layers[i]
        self._renumber()

    def __add__(self, other: Any) -> Sequential:
        if not isinstance(other, Sequential):
            raise ValueError(
                "add (+) operator supports only objects of Sequential class, but "
                f"{type(other)} is given."
            )
        return Sequential(*self._layers, *other._layers)

    def __iadd__(self, other: Any) -> Sequential:
        if not isinstance(other, Sequential):
            raise ValueError(
                "add (+) operator supports only objects of Sequential class, but "
                f"{type(other)} is given."
            )
        self.extend(other)
        return self

    def insert(self, i: int, layer: Layer) -> None:
        """Put a layer before another.

        Args:
            i: Where.
            layer: The layer.

        Raises:
            ValueError: If it is not callable.
        """
        _check_layer(layer)
        self._layers.insert(i, layer)
        self._renumber()

    def append(self, layer: Layer) -> None:
        """Add a layer at the end.

        Args:
            layer: The layer.

        Raises:
            ValueError: If it is not callable.
        """
        self.insert(len(self._layers), layer)

    def add_link(self, link: Layer) -> None:
        """Add a layer at the end; the same as :meth:`append`.

        Args:
            link: The layer.
        """
        self.append(link)

    def extend(self, sequential: Iterable[Layer]) -> None:
        """Add layers at the end.

        Args:
            sequential: The layers.
        """
        for layer in list(sequential):
            self.append(layer)

    def pop(self, i: int = -1) -> Any:
        """Take a layer out.

        Args:
            i: Where; the last one by default.

        Returns:
            The layer.
        """
        layer = self._layers.pop(i)
        self._renumber()
        return layer

    def remove(self, layer: Layer) -> None:
        """Take a layer out.

        Args:
            layer: The layer.

        Raises:
            ValueError: If it is not among the layers.
        """
        if layer not in self._layers:
            raise ValueError(f"There is no layer object that is same as {layer}")
        del self[self._layers.index(layer)]

    def remove_by_layer_type(self, type_name: str) -> None:
        """Take out all layers of a class.

        Args:
            type_name: Name of the class; ``'function'`` for plain functions.
        """
        self._layers = [layer for layer in self._layers if type(layer).__name__ != type_name]
        self._renumber()

    def clear(self) -> None:
        """Take out all layers."""
        self._layers = []
        self._renumber()

    def count(self, layer: Layer) -> int:
        """Count how often a layer occurs.

        Args:
            layer: The layer.

        Returns:
            How often.
        """
        return self._layers.count(layer)

    def count_by_layer_type(self, type_name: str) -> int:
        """Count the layers of a class.

        Args:
            type_name: Name of the class; ``'function'`` for plain functions.

        Returns:
            Their number.
        """
        return sum(type(layer).__name__ == type_name for layer in self._layers)

    def index(self, layer: Layer, start: int | None = None, end: int | None = None) -> int:
        """Find a layer.

        Args:
            layer: The layer.
            start: Where to begin.
            end: Where to stop.

        Returns:
            Its position.

        Raises:
            ValueError: If it is not there.
        """
        return self._layers.index(layer, start or 0, len(self._layers) if end is None else end)

    def flatten(self) -> Sequential:
        """Replace nested Sequentials by their layers.

        Returns:
            A new Sequential of the same layers.
        """
        layers: list[Any] = []
        for layer in self._layers:
            layers.extend(layer.flatten() if isinstance(layer, Sequential) else (layer,))
        return Sequential(*layers)

    def copy(self: _Self, mode: str = "share") -> _Self:
        """Copy the links among the layers; other layers are shared.

        Args:
            mode: What :meth:`Link.copy` takes.

        Returns:
            The copy.
        """
        copied = super().copy(mode)
        if mode == "share":
            copies = iter(copied._children)
            copied._layers = [
                next(copies) if isinstance(layer, Link) else layer for layer in self._layers
            ]
        return copied


def _check_layer(layer: object) -> None:
    if not callable(layer):
        raise ValueError(
            f"All elements of the argument should be callable. But given {layer} is not callable."
        )
