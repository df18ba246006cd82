"""What ``import chainerx`` gives under the alias: the answer that there is none."""

from __future__ import annotations

__all__ = ["is_available", "ndarray"]


class ndarray:
    """Stands for ChainerX's array type; nothing is an instance of it."""


def is_available() -> bool:
    """Tell whether ChainerX can be used.

    Returns:
        False: its part is played by chainrule's own core.
    """
    return False
