"""Debug mode: extra checks of values, at the cost of speed."""

from __future__ import annotations

import types

from chainrule.configuration import config, using_config

__all__ = ["DebugMode", "is_debug", "set_debug"]


def is_debug() -> bool:
    """Tell whether debug mode is on in this thread.

    Returns:
        ``config.debug``.
    """
    return bool(config.debug)


def set_debug(debug: bool) -> None:
    """Switch debug mode on or off in this thread.

    Args:
        debug: The new value of ``config.debug``.
    """
    config.debug = debug


class DebugMode:
    """Debug mode for a block.

    Args:
        debug: The value of ``config.debug`` inside the block.
    """

    def __init__(self, debug: bool) -> None:
        self._using = using_config("debug", debug)

    def __enter__(self) -> None:
        self._using.__enter__()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        self._using.__exit__(exc_type, exc_value, traceback)
