"""Arrays on CUDA devices for tests: on a GPU, or on the emulated devices (tests/cpp/emulation)."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import ml_dtypes
import numpy as np
import pytest

from chainrule import Variable, _core

DEVICES = _core.cuda_device_count()
on_device = [
    pytest.mark.gpu,
    pytest.mark.skipif(DEVICES == 0, reason="these run on emulated devices, in another process"),
]
DTYPES = [bool, "u1", "i1", "i2", "i4", "i8", "e", "f", "d", ml_dtypes.bfloat16]
#: An address that stands for another library's stream, where nobody looks at it.
STREAM = 0x5000


def marked(test):
    for mark in on_device:
        test = mark(test)
    return test


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


def run_tests(file: str) -> None:
    """Run a file of tests on it in a fresh process, since a process looks for a GPU once."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "gpu", file],
        env={
            **os.environ,
            "CHAINRULE_CUDA_PLUGIN": path(),
            "CHAINRULE_CUBLAS": str(pathlib.Path(path()).with_name("host_cublas.so")),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "these run on emulated devices" not in done.stdout


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


def there(array, device: str = "cuda") -> Variable:
    # By way of a variable, since NumPy itself gives no bfloat16.
    return Variable.from_dlpack(Variable(np.asarray(array)), device=device)


def back(variable) -> np.ndarray:
    return Variable.from_dlpack(variable, device="cpu").array


def address(variable: Variable) -> int:
    return variable.__cuda_array_interface__["data"][0]


def in_use() -> int:
    gc.collect()
    _core.cuda_synchronize(0)
    return _core.cuda_memory_info(0)["in_use"]


class Foreign:
    """An array with the CUDA array interface alone."""

    def __init__(self, variable, read_only=None, leave_out=(), **other):
        found = {**variable.__cuda_array_interface__, **other}
        if read_only is not None:
            found["data"] = (found["data"][0], read_only)
        self.variable = variable
        self.__cuda_array_interface__ = {k: v for k, v in found.items() if k not in leave_out}
