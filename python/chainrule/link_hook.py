"""Hooks that run around the calls of links: for timing, logging, normalising weights."""

from __future__ import annotations

import threading
import types
from typing import Any

__all__ = ["LinkHook"]


class _ForwardPreprocessCallbackArgs:
    """What ``forward_preprocess`` gets: ``link``, ``forward_name``, ``args``, ``kwargs``."""

    def __init__(self, link: Any, forward_name: str, args: Any, kwargs: Any) -> None:
        self.link = link
        self.forward_name = forward_name
        self.args = args
        self.kwargs = kwargs

    def __repr__(self) -> str:
        return f"<{type(self).__name__} link={type(self.link).__name__}>"


class _ForwardPostprocessCallbackArgs(_ForwardPreprocessCallbackArgs):
    """What ``forward_postprocess`` gets: the same, and ``out``."""

    def __init__(self, link: Any, forward_name: str, args: Any, kwargs: Any, out: Any) -> None:
        super().__init__(link, forward_name, args, kwargs)
        self.out = out


class LinkHook:
    """Something that runs before and after every call of a link.

    Added to a link with ``link.add_hook(hook)``, it runs for that link; in a ``with`` statement,
    for all links that are called inside the block by this thread.

    Attributes:
        name: Its name among the hooks of a link.
    """

    name = "LinkHook"

    def __enter__(self) -> LinkHook:
        hooks = _active.hooks
        if self.name in hooks:
            raise KeyError(f"[LinkHook] a hook named {self.name!r} is active already")
        hooks[self.name] = self
        open_blocks.append(self)
        self.added(None)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        open_blocks.remove(self)
        _active.hooks.pop(self.name).deleted(None)

    def added(self, link: Any) -> None:
        """Learn that the hook is in use.

        Args:
            link: The link it was added to, or None for a ``with`` block.
        """

    def deleted(self, link: Any) -> None:
        """Learn that the hook is no longer in use.

        Args:
            link: The link it was taken from, or None for a ``with`` block.
        """

    def forward_preprocess(self, args: Any) -> None:
        """Run before a link's ``forward``.

        Args:
            args: Has ``link``, ``forward_name``, ``args`` and ``kwargs``.
        """

    def forward_postprocess(self, args: Any) -> None:
        """Run after a link's ``forward``.

        Args:
            args: Has ``link``, ``forward_name``, ``args``, ``kwargs`` and ``out``.
        """


class _ActiveHooks(threading.local):
    """The hooks of ``with`` blocks in this thread, by name."""

    def __init__(self) -> None:
        self.hooks: dict[str, LinkHook] = {}


_active = _ActiveHooks()
#: Hooks that are active in any thread: almost always empty, and quick to look at.
open_blocks: list[LinkHook] = []


def call_with_hooks(link: Any, own: dict[str, LinkHook], args: Any, kwargs: Any) -> Any:
    """Call a link's ``forward`` between its hooks.

    Args:
        link: The link.
        own: Hooks that were added to it.
        args: Positional arguments of the call.
        kwargs: Keyword arguments of the call.

    Returns:
        What ``forward`` returns.
    """
    hooks = [*_active.hooks.values(), *own.values()]
    before = _ForwardPreprocessCallbackArgs(link, "forward", args, kwargs)
    for hook in hooks:
        hook.forward_preprocess(before)
    out = link.forward(*args, **kwargs)
    after = _ForwardPostprocessCallbackArgs(link, "forward", args, kwargs, out)
    for hook in hooks:
        hook.forward_postprocess(after)
    return out
