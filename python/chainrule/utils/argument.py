"""Checks of ``**kwargs`` in functions whose arguments have changed over time."""

from __future__ import annotations

import inspect
from typing import Any

__all__ = ["assert_kwargs_empty", "check_unexpected_kwargs", "parse_kwargs"]


def check_unexpected_kwargs(kwargs: dict[str, Any], **unexpected: str) -> None:
    """Refuse arguments that no longer exist, saying what became of them.

    Args:
        kwargs: What was passed.
        **unexpected: Names of former arguments, and what to say.

    Raises:
        ValueError: If one of them was passed.
    """
    for name, message in unexpected.items():
        if name in kwargs:
            raise ValueError(message)


def parse_kwargs(
    kwargs: dict[str, Any], *name_and_values: tuple[str, Any], **unexpected: str
) -> Any:
    """Take arguments with defaults out of ``kwargs`` and refuse all others.

    Args:
        kwargs: What was passed.
        *name_and_values: Names and defaults.
        **unexpected: Names of former arguments, and what to say.

    Returns:
        The values in the order of the names.

    Raises:
        TypeError: If something else was passed.
        ValueError: If a former argument was passed.
    """
    values = tuple(kwargs.pop(name, default) for name, default in name_and_values)
    if kwargs:
        check_unexpected_kwargs(kwargs, **unexpected)
        _refuse(kwargs)
    return values


def assert_kwargs_empty(kwargs: dict[str, Any]) -> None:
    """Refuse whatever is left in ``kwargs``.

    Args:
        kwargs: What was passed and not taken.

    Raises:
        TypeError: If there is something.
    """
    if kwargs:
        _refuse(kwargs)


def _refuse(kwargs: dict[str, Any]) -> None:
    frame = inspect.currentframe()
    # The function that was called with the arguments: past this one and the check.
    for _ in range(2):
        frame = frame.f_back if frame else None
    name = frame.f_code.co_name if frame else "function"
    raise TypeError(
        f"{name}() got unexpected keyword argument(s) {', '.join(map(repr, sorted(kwargs)))}"
    )
