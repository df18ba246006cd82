"""Registers of hooks, before and after an update."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from chainrule._names import suggestion

__all__ = ["Hookable", "refuse_no_hook", "refuse_timing"]

Hook = Callable[..., Any]


def refuse_no_hook(hook: Any) -> None:
    """Refuse what cannot be a hook.

    Args:
        hook: A hook, or something else.

    Raises:
        TypeError: If it is something else.
    """
    if isinstance(hook, type):
        raise TypeError(
            f"[add_hook] got the class {hook.__name__}, expected a hook; did you mean "
            f"{hook.__name__}(...)?"
        )
    if not callable(hook):
        raise TypeError(
            f"[add_hook] hook function must be callable: got {hook!r}, expected a function"
        )


def refuse_timing(hook: Hook, timing: str) -> None:
    """Refuse to run a hook on the wrong side of updates.

    Args:
        hook: The hook.
        timing: ``'pre'`` or ``'post'``.

    Raises:
        ValueError: If it works on the other side alone.
    """
    only = getattr(hook, "_only", timing)
    if timing != only:
        what = "works on updated parameters" if only == "post" else "takes part in the update"
        raise ValueError(
            f"[add_hook] {type(hook).__name__} {what}: got timing {timing!r}, expected {only!r} "
            "or 'auto'"
        )


class Hookable:
    """Hooks by name, in the order in which they were added.

    Args:
        fall_back: Whether a hook's own odd ``timing`` counts as ``'pre'``, with a warning.

    Attributes:
        pre: Hooks that run before an update.
        post: Hooks that run after it.
    """

    def __init__(self, fall_back: bool = False) -> None:
        self.pre: dict[str, Hook] = {}
        self.post: dict[str, Hook] = {}
        self._fall_back = fall_back

    def add(self, hook: Hook, name: str | None, timing: str) -> None:
        """Add a hook at the end of its list."""
        refuse_no_hook(hook)
        if timing not in ("pre", "post", "auto"):
            raise ValueError("timing must be one of ('pre', 'post', 'auto')")
        if timing == "auto":
            timing = getattr(hook, "timing", "pre")
            if timing not in ("pre", "post"):
                if not self._fall_back:
                    raise ValueError(
                        f"[add_hook] timing of the hook: got {timing!r}, expected 'pre' or 'post'"
                    )
                warnings.warn(
                    "Hook timing attribute not in ('pre', 'post'), defaulting timing to 'pre'.",
                    stacklevel=3,
                )
                timing = "pre"
        refuse_timing(hook, timing)
        if name is None:
            name = getattr(hook, "name", getattr(hook, "__name__", None))
            if name is None:
                raise ValueError("the name of the hook function is not specified")
        if not isinstance(name, str):
            raise TypeError(f"[add_hook] name of the hook: got {name!r}, expected a str")
        if name in self.pre or name in self.post:
            raise KeyError(f'hook "{name}" already exists')
        (self.pre if timing == "pre" else self.post)[name] = hook

    def remove(self, name: str) -> None:
        """Remove the hook of a name."""
        for hooks in (self.pre, self.post):
            if name in hooks:
                del hooks[name]
                return
        raise KeyError(f"[remove_hook] no hook {name!r}" + suggestion(name, self.pre | self.post))

    def of(self, timing: str) -> list[Hook]:
        """List the hooks of one timing."""
        return [hook for _, hook in self.items(timing)]

    def items(self, timing: str) -> list[tuple[str, Hook]]:
        """List the hooks of one timing with their names."""
        if timing not in ("pre", "post"):
            raise ValueError("timing must be either 'pre' or 'post'")
        return list((self.pre if timing == "pre" else self.post).items())

    def take(self, other: Hookable) -> None:
        """Add the hooks of another register, except where a name is taken."""
        for mine, theirs in ((self.pre, other.pre), (self.post, other.post)):
            for name, hook in theirs.items():
                if name not in self.pre and name not in self.post:
                    mine[name] = hook
