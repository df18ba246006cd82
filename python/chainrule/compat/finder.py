"""The import hook behind ``import chainer``."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import types
from collections.abc import Sequence

__all__ = ["ALIASES", "AliasFinder"]

#: Names that scripts import, and what they get.
ALIASES = {"chainer": "chainrule", "chainerx": "chainrule.compat.chainerx"}


class AliasFinder(importlib.abc.MetaPathFinder):
    """Finds ``chainer`` and its submodules: chainrule's own module objects."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: types.ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """Say how to load a module.

        Args:
            fullname: Its name.
            path: Where its package looks for modules.
            target: A module that is being reloaded.

        Returns:
            How; None for modules that are not Chainer's, or that chainrule does not have.
        """
        head, dot, tail = fullname.partition(".")
        if head not in ALIASES:
            return None
        real = ALIASES[head] + dot + tail
        try:
            found = importlib.util.find_spec(real)
        except ModuleNotFoundError:
            return None
        if found is None:
            return None
        package = found.submodule_search_locations is not None
        return importlib.machinery.ModuleSpec(fullname, _AliasLoader(real), is_package=package)


class _AliasLoader(importlib.abc.Loader):
    """Gives a module that exists under another name."""

    def __init__(self, real: str) -> None:
        self._real = real
        self._spec: importlib.machinery.ModuleSpec | None = None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        module = importlib.import_module(self._real)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        # The module has run under its own name; the import system has just put the alias's
        # spec in place of its own.
        module.__spec__ = self._spec
