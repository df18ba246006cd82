"""Running programs written for Chainer.

``install()`` makes ``import chainer`` (and every submodule) give the very module objects of
chainrule, and switches on ``config.chainer_semantics``. ``python -m chainrule run script.py`` does
so for a script and for the Python processes it starts.
"""

from __future__ import annotations

import os
import pathlib
import sys

import chainrule
from chainrule.compat.finder import ALIASES, AliasFinder

__all__ = ["install", "uninstall"]

_HOOK = pathlib.Path(__file__).parent / "hook"


def install(subprocesses: bool = False) -> None:
    """Let ``import chainer`` mean chainrule, with Chainer's semantics.

    Args:
        subprocesses: Do the same in Python processes that this one starts, by way of the
            environment.

    Raises:
        RuntimeError: If another module named ``chainer`` was imported before.

    Example:
        >>> import chainrule.compat
        >>> chainrule.compat.install()
        >>> import chainer
        >>> chainer is chainrule
        True
        >>> chainrule.compat.uninstall()
    """
    for alias in ALIASES:
        there = sys.modules.get(alias)
        if there is not None and not there.__name__.startswith("chainrule"):
            raise RuntimeError(
                f"[compat] a module named {alias!r} was imported before, from "
                f"{getattr(there, '__file__', None)}: call chainrule.compat.install() first"
            )
    if not any(isinstance(finder, AliasFinder) for finder in sys.meta_path):
        # First, because others would find chainer.functions on the package's path and load it
        # a second time.
        sys.meta_path.insert(0, AliasFinder())
    chainrule.global_config.chainer_semantics = True
    if subprocesses:
        _set_environment()


def uninstall() -> None:
    """Undo :func:`install`: forget the name ``chainer`` and switch its semantics off."""
    sys.meta_path[:] = [f for f in sys.meta_path if not isinstance(f, AliasFinder)]
    for name in [n for n in sys.modules if n.partition(".")[0] in ALIASES]:
        del sys.modules[name]
    chainrule.global_config.chainer_semantics = False


def _set_environment() -> None:
    """Have Python processes that inherit our environment import the hook at their start."""
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if str(_HOOK) not in paths:
        paths.insert(0, str(_HOOK))
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    os.environ["CHAINRULE_COMPAT"] = str(pathlib.Path(chainrule.__file__).parent.parent)
    os.environ["CHAINRULE_CHAINER_SEMANTICS"] = "1"
