"""The link whose parameters are a user's arrays."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule import link
from chainrule._core import Variable
from chainrule.arrays._checks import Spans, check, refuse_changed
from chainrule.arrays._tree import flatten
from chainrule.rules import entries
from chainrule.rules.patterns import nearest_paths
from chainrule.serializer import AbstractSerializer
from chainrule.variable import Parameter

__all__ = ["ArrayLink"]


class ArrayLink(link.Link):
    """Parameters on plain NumPy arrays: the ``target`` of an optimizer that was given arrays.

    Args:
        arrays: Arrays in nested dicts, lists and tuples.
        op: Who asks, for errors.

    Raises:
        TypeError: If one is no NumPy array of a floating-point dtype, or a name no string.
        ValueError: If there are none, one is read-only, or two share memory.

    Attributes:
        arrays (dict): The arrays by path.
    """

    def __init__(self, arrays: Any, op: str = "attach") -> None:
        super().__init__()
        found = flatten(arrays, op)
        if not found:
            raise ValueError(f"[{op}] there are no arrays")
        for path, array in found.items():
            check(path, array, op)
        self.arrays: dict[str, np.ndarray] = {path: found[path] for path in sorted(found)}
        self._hold()
        self._by_path = {path: Parameter(array) for path, array in self.arrays.items()}
        for path, param in self._by_path.items():
            param.name = path

    def _hold(self) -> None:
        self._spans = Spans(self.arrays)
        # NumPy's resize() frees no memory of an array that something refers to weakly.
        self._references = [weakref.ref(array) for array in self.arrays.values()]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_spans": None, "_references": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._hold()

    def params(self, include_uninit: bool = True) -> Iterator[Parameter]:
        yield from self._by_path.values()

    def namedparams(self, include_uninit: bool = True) -> Iterator[tuple[str, Parameter]]:
        yield from self._by_path.items()

    def serialize(self, serializer: AbstractSerializer) -> None:
        """Save the arrays, or load into them.

        Args:
            serializer: Where to or from.
        """
        remember = getattr(serializer, "remember", None)
        if remember is not None:
            remember(self)
        for path, param in self._by_path.items():
            serializer(path[1:], param.array)

    @contextlib.contextmanager
    def _given(self, gradients: Any, copy: bool) -> Iterator[None]:
        """Let the parameters have these gradients in a ``with`` block."""
        self._look()
        found = {path: g for path, g in flatten(gradients, "update").items() if g is not None}
        ready = {path: self._gradient(path, value) for path, value in found.items()}
        try:
            for path, gradient in ready.items():
                # In memory that the update writes to they would change before they are read.
                own = copy or self._spans.touch(gradient)
                self._by_path[path].grad = gradient.copy() if own else gradient
            yield
        finally:
            self.cleargrads()

    def _look(self) -> None:
        """Refuse arrays that are not what they were when they were given rules."""
        params = list(self._by_path.values())
        place = Variable._first_elsewhere(params, list(self.arrays.values()))
        if place is not None:
            path = list(self.arrays)[place]
            refuse_changed(path, self.arrays[path], params[place])

    def _gradient(self, path: str, value: Any) -> np.ndarray:
        param = self._by_path.get(path)
        if param is None:
            near = nearest_paths(path, list(self._by_path))
            raise KeyError(f"[update] no such array: got {path!r}{near}")
        if not isinstance(value, (np.ndarray, np.generic)) and not hasattr(value, "__array__"):
            raise TypeError(f"[update] {path}: got {type(value).__name__}, expected an array")
        gradient = np.asarray(value)
        if gradient.shape != param.shape:
            raise ValueError(
                f"[update] {path}: gradient of the wrong shape: got {gradient.shape}, expected "
                f"{param.shape}"
            )
        if gradient.dtype != param.dtype:
            raise TypeError(
                f"[update] {path}: gradient of the wrong dtype: got {gradient.dtype}, expected "
                f"{param.dtype}"
            )
        return gradient


link._OUR_WALKS.add(ArrayLink.params)
entries._OUR_WALKS.add(ArrayLink.namedparams)
