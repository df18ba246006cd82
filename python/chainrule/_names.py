"""Names that are not known, and what was perhaps meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from chainrule.configuration import config

__all__ = ["refuse_misspelt", "suggestion"]


def suggestion(name: str, known: Iterable[str]) -> str:
    """Say which known name is like one that is not known.

    Args:
        name: The unknown one.
        known: What there is.

    Returns:
        Text to end an error with, such as ``"; did you mean 'lr'? Known: lr, momentum"``.
    """
    known = list(known)
    near = difflib.get_close_matches(name, known, 1, 0.4)
    text = f"; did you mean '{near[0]}'?" if near else ""
    return text + (" Known: " if near else "; known: ") + (", ".join(known) or "none")


def refuse_misspelt(obj: object, name: str) -> None:
    """Refuse to set an attribute whose name is nearly that of one which does something.

    Other new names are nobody's business. Chainer takes any.

    Args:
        obj: Whose attribute.
        name: Its name.

    Raises:
        AttributeError: If it is like a public attribute of the class.
    """
    cls = type(obj)
    if name[0] == "_" or hasattr(cls, name) or name in vars(obj) or config.chainer_semantics:
        return
    known = [each for each in dir(cls) if each[0] != "_"]
    near = difflib.get_close_matches(name, known, 1, 0.8)
    if near:
        raise AttributeError(
            f"[{cls.__name__}] no attribute '{name}' to set; did you mean '{near[0]}'?"
        )
