"""What there is to know about an installation."""

from __future__ import annotations

import platform
import sys
from typing import TextIO

import numpy as np

from chainrule import _core

__all__ = ["print_runtime_info", "runtime_info"]


def runtime_info() -> dict[str, str]:
    """Collect versions, the CPU's instruction set in use, threads and the state of CUDA.

    Returns:
        Names and texts.

    Example:
        >>> import chainrule
        >>> chainrule.info.runtime_info()["chainrule"] == chainrule.__version__
        True
    """
    usable, reason = _core.cuda_status()
    traced = _core.problem_with_traced_code()
    info = {
        "chainrule": _core.__version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "platform": platform.platform(),
        "CPU kernels": _core.instruction_set(),
        "traced rules": f"interpreted: {traced}" if traced else "machine code",
        "threads": str(_core.num_threads()),
        "oneDNN": _core.onednn_version(),
        "CUDA": "available" if usable else f"not available: {reason}",
    }
    if usable:
        compiler, problem = _core.cuda_rule_compiler()
        info["traced rules on CUDA"] = f"interpreted: {problem}" if problem else compiler
        library, problem = _core.cuda_products()
        info["matrix products on CUDA"] = f"none: {problem}" if problem else library
    return info


def print_runtime_info(out: TextIO | None = None) -> None:
    """Print versions, the CPU's instruction set in use, threads and the state of CUDA.

    Args:
        out: Where to print; standard output by default.
    """
    info = runtime_info()
    width = max(len(name) for name in info)
    for name, text in info.items():
        print(f"{name:<{width}}  {text}", file=out or sys.stdout)
