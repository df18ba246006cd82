"""Kernels with another number of threads, for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from chainrule import _core


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Have so many in a block."""
    before = _core.num_threads()
    _core.set_num_threads(count)
    try:
        yield
    finally:
        _core.set_num_threads(before)
