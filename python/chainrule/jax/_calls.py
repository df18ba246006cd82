"""Calls from compiled programs that work on XLA's own memory, with nothing copied on the way."""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import itertools
import secrets
import sys
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule import _core

__all__ = ["Call", "is_usable"]

_NAME = "chainrule_call"


class Call:
    """A function that programs call, once for each time that it is traced.

    Programs know it by a number, which they ask for when they run: so it lives as long as they do.

    Args:
        function: Called with NumPy arrays on the arguments' memory, which are read-only, and such
            on the results', which it fills. It must keep none of them.
        given: What has the arguments' shapes and dtypes.
        wanted: What has the results'.
    """

    def __init__(
        self,
        function: Callable[[list[np.ndarray], list[np.ndarray]], None],
        given: Sequence[Any],
        wanted: Sequence[Any],
    ) -> None:
        self._function = function
        self._given = [(np.shape(each), np.dtype(each.dtype)) for each in given]
        self._wanted = [(np.shape(each), np.dtype(each.dtype)) for each in wanted]
        # Another process that finds a program of this one must not find another call there.
        numbers = (secrets.randbits(32) for _ in itertools.count())
        self._number = next(number for number in numbers if number not in _calls)
        _calls[self._number] = self

    def trace(self, arguments: Sequence[Any]) -> list[Any]:
        """Have the program that is being traced call the function.

        Args:
            arguments: As many as were described.

        Returns:
            The results.
        """
        jax: Any = importlib.import_module("jax")
        number = jax.pure_callback(self._give_number, jax.ShapeDtypeStruct((), np.uint32))
        results = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in self._wanted]
        found: list[Any] = jax.ffi.ffi_call(_NAME, results)(number, *arguments)
        return found

    def _give_number(self) -> np.uint32:
        return np.uint32(self._number)

    def run(self, given: Sequence[memoryview], wanted: Sequence[memoryview]) -> None:
        """Call the function.

        Args:
            given: Memory of the arguments.
            wanted: Memory of the results.
        """
        arrays = _arrays(self._given, given)
        results = _arrays(self._wanted, wanted)
        self._function(arrays, results)
        # A view refers to the array. The last one is nobody else's, for comparison.
        everything = [*arrays, *results, np.empty(0)]
        del arrays, results
        if len(set(map(sys.getrefcount, everything))) > 1:
            raise RuntimeError("[jax] an array was kept after the call")


#: By number, calls of programs that are still there.
_calls: weakref.WeakValueDictionary[int, Call] = weakref.WeakValueDictionary()


def _arrays(
    described: Sequence[tuple[tuple[int, ...], np.dtype[Any]]], memory: Sequence[memoryview]
) -> list[np.ndarray]:
    pairs = zip(described, memory, strict=True)
    return [np.ndarray(shape, dtype, each) for (shape, dtype), each in pairs]


def _receive(number: int, given: Sequence[memoryview], wanted: Sequence[memoryview]) -> None:
    call = _calls.get(number)
    if call is None:
        raise RuntimeError("[jax] the transformation of this program is gone, or another process's")
    call.run(given, wanted)


def _finish() -> None:
    """Let programs come to their end, which would call Python when it is no longer there."""
    jax: Any = importlib.import_module("jax")
    for array in jax.live_arrays():
        with contextlib.suppress(Exception):  # it was donated, or its program has failed
            array.block_until_ready()
    _core.xla_close()


@functools.cache
def is_usable() -> bool:
    """Whether this JAX can call so, on the CPU."""
    try:
        ffi = importlib.import_module("jax.ffi")
        ffi.register_ffi_target(_NAME, _core.xla_call_target(_receive), platform="cpu")
    except Exception:  # an XLA of another interface says so in its own ways
        return False
    atexit.register(_finish)
    return True
