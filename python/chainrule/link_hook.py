"""Hooks that run around the calls of links: for timing, logging, normalising weights."""

from __future__ import annotations

import threading
import types
from typing import Any, TypeVar

__all__ = ["HookedCalls", "LinkHook"]

_Self = TypeVar("_Self", bound="HookedCalls")


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


class HookedCalls:
    """Makes an object with a method ``forward`` callable, between hooks."""

    #: The computation; a subclass defines it.
    forward: Any
    # Shared by all objects that have none, so that a call costs one look.
    _local_link_hooks: dict[str, LinkHook] | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run ``forward``, between the hooks if there are any.

        Args:
            *args: Arguments of ``forward``.
            **kwargs: Arguments of ``forward``.

        Returns:
            What ``forward`` returns.
        """
        if self._local_link_hooks is None and not open_blocks:
            return self.forward(*args, **kwargs)
        hooks = [*_active.hooks.values(), *(self._local_link_hooks or {}).values()]
        before = _ForwardPreprocessCallbackArgs(self, "forward", args, kwargs)
        for hook in hooks:
            hook.forward_preprocess(before)
        out = self.forward(*args, **kwargs)
        after = _ForwardPostprocessCallbackArgs(self, "forward", args, kwargs, out)
        for hook in hooks:
            hook.forward_postprocess(after)
        return out

    @property
    def local_link_hooks(self) -> dict[str, LinkHook]:
        """The hooks that were added to this link, by name."""
        if self._local_link_hooks is None:
            self.__dict__["_local_link_hooks"] = {}
        return self.__dict__["_local_link_hooks"]

    def add_hook(self: _Self, hook: LinkHook, name: str | None = None) -> _Self:
        """Run a hook around each call of this link.

        Args:
            hook: The hook.
            name: Its name; ``hook.name`` by default.

        Returns:
            Self.

        Raises:
            TypeError: If it is no hook.
            KeyError: If the name is taken.
        """
        if not isinstance(hook, LinkHook):
            raise TypeError(f"[add_hook] got {type(hook).__name__}, expected a LinkHook")
        name = hook.name if name is None else name
        if name in self.local_link_hooks:
            raise KeyError(f"Hook {name} already exists")
        self.local_link_hooks[name] = hook
        hook.added(self)
        return self

    def delete_hook(self, name: str) -> None:
        """Take a hook off again.

        Args:
            name: Its name.

        Raises:
            KeyError: If there is none of this name.
        """
        hooks = self.local_link_hooks
        if name not in hooks:
            raise KeyError(name)
        hooks.pop(name).deleted(self)
        if not hooks:
            del self.__dict__["_local_link_hooks"]
