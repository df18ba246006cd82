"""Found by Python processes that a script under ``python -m chainrule run`` starts.

Lets ``import chainer`` mean chainrule, which is imported only when that happens.
"""

import importlib.machinery
import importlib.util
import os
import sys
from typing import Any

_HERE = os.path.dirname(os.path.abspath(__file__))


class _FirstImport:
    """Waits for the first import of Chainer."""

    @classmethod
    def find_spec(cls, fullname: str, path: Any = None, target: Any = None) -> Any:
        """Put the real finder in our place when Chainer is asked for."""
        if fullname.partition(".")[0] not in ("chainer", "chainerx"):
            return None
        sys.meta_path.remove(cls)
        root = os.environ.get("CHAINRULE_COMPAT")
        if root and importlib.util.find_spec("chainrule") is None:
            sys.path.append(root)
        from chainrule import compat

        compat.install()
        return sys.meta_path[0].find_spec(fullname, path, target)


if os.environ.get("CHAINRULE_COMPAT"):
    sys.meta_path.insert(0, _FirstImport)


def _run_next() -> None:
    """Run the sitecustomize that this one hides, if there is one."""
    others = [path for path in sys.path if os.path.abspath(path) != _HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


_run_next()
