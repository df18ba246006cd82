"""Many small arrays as few: what passes from JAX to the host costs by the array."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

__all__ = ["Packing"]

#: Bytes of an array that is worth passing by itself.
_LARGE = 1 << 16


class Packing:
    """How a list of arrays is packed: small ones of a dtype one after the other in one array.

    Args:
        arrays: Arrays, or what has their ``shape`` and ``dtype``.
    """

    def __init__(self, arrays: Iterable[Any]) -> None:
        self._alone: list[int] = []
        #: By dtype, places in the list, with where their elements begin and end.
        self._packs: dict[np.dtype[Any], list[tuple[int, int, int]]] = {}
        self._shapes: list[tuple[int, ...]] = []
        for place, array in enumerate(arrays):
            shape, dtype = np.shape(array), np.dtype(array.dtype)
            self._shapes.append(shape)
            size = math.prod(shape)
            if size * dtype.itemsize >= _LARGE:
                self._alone.append(place)
                continue
            pack = self._packs.setdefault(dtype, [])
            start = pack[-1][2] if pack else 0
            pack.append((place, start, start + size))

    def pack(self, xp: Any, arrays: Sequence[Any]) -> list[Any]:
        """Pack arrays.

        Args:
            xp: NumPy, or ``jax.numpy``.
            arrays: As many as were described, of the same shapes and dtypes.

        Returns:
            Arrays of one dimension, and those that are large as they are.
        """
        packs = [
            xp.concatenate([arrays[place].reshape(-1) for place, _, _ in pack])
            for pack in self._packs.values()
        ]
        return [*(arrays[place] for place in self._alone), *packs]

    def unpack(self, packed: Sequence[Any]) -> list[Any]:
        """Take arrays out of what :meth:`pack` gave.

        Args:
            packed: The packed arrays.

        Returns:
            Arrays as they were described; views, with NumPy.
        """
        found: list[Any] = [None] * len(self._shapes)
        for place, array in zip(self._alone, packed[: len(self._alone)], strict=True):
            found[place] = array
        packs = packed[len(self._alone) :]
        for pack, array in zip(self._packs.values(), packs, strict=True):
            for place, start, end in pack:
                found[place] = array[start:end].reshape(self._shapes[place])
        return found
