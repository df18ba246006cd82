"""Running a script or a module as the main program, with ``chainer`` meaning chainrule."""

from __future__ import annotations

import builtins
import io
import os
import runpy
import sys
import types
from collections.abc import Sequence

from chainrule import compat

__all__ = ["run_module", "run_script"]


def run_script(path: str, arguments: Sequence[str] = ()) -> None:
    """Run a script as ``python path arguments`` does, with ``chainer`` meaning chainrule.

    Args:
        path: The script.
        arguments: What it finds in ``sys.argv``.

    Raises:
        SystemExit: If there is no such script, or the script exits.
    """
    try:
        with io.open_code(os.path.abspath(path)) as file:
            source = file.read()
    except OSError as error:
        raise SystemExit(f"chainrule run: cannot open {path!r}: {error.strerror}") from None
    compat.install(subprocesses=True)
    # A module of its own, without a spec, as for `python path`: processes started by
    # multiprocessing look here for the script.
    module = types.ModuleType("__main__")
    module.__file__ = path
    module.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = module
    sys.argv[:] = [path, *arguments]
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = os.path.dirname(os.path.realpath(path))
    exec(compile(source, path, "exec"), module.__dict__)


def run_module(name: str, arguments: Sequence[str] = ()) -> None:
    """Run a module as ``python -m name arguments`` does, with ``chainer`` meaning chainrule.

    Args:
        name: The module.
        arguments: What it finds in ``sys.argv``.
    """
    compat.install(subprocesses=True)
    sys.argv[:] = [name, *arguments]
    runpy.run_module(name, run_name="__main__", alter_sys=True)
