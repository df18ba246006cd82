"""The CUDA plug-in that runs without a GPU (tests/cpp/emulation), for tests in Python."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest


def path() -> str:
    """Return the plug-in; skip the test where it is not built."""
    folder = os.environ.get(
        "CHAINRULE_BUILD_DIR", pathlib.Path(__file__).parents[2] / "build" / "dev"
    )
    found = pathlib.Path(folder) / "tests" / "cpp" / "plugins" / "emulated.so"
    if not found.exists():
        pytest.skip("the C++ tests are not built")
    return str(found)


def is_used() -> bool:
    """Whether this process was started with it."""
    return os.environ.get("CHAINRULE_CUDA_PLUGIN", "").endswith("emulated.so")


def run_tests(file: str) -> subprocess.CompletedProcess[str]:
    """Run a file of tests on it in a fresh process, since a process looks for a GPU once."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "gpu", file],
        env={**os.environ, "CHAINRULE_CUDA_PLUGIN": path()},
        capture_output=True,
        text=True,
    )


@contextlib.contextmanager
def calls() -> Iterator[list[str]]:
    """List who waited for whom inside the block, once that is over."""
    if not is_used():
        pytest.skip("a driver tells nobody who waits for whom")
    library = ctypes.CDLL(os.environ["CHAINRULE_CUDA_PLUGIN"])
    library.emulated_calls.restype = ctypes.c_char_p
    library.emulated_record(True)
    seen: list[str] = []
    try:
        yield seen
    finally:
        library.emulated_record(False)
        seen += library.emulated_calls().decode().splitlines()
