"""The language of patterns for parameter paths.

A path such as ``/encoder/l3/W`` has one name per level. In a pattern

- ``*`` stands for any characters within one level, ``?`` for exactly one of them;
- ``**``, alone between slashes, stands for any number of levels: none, one or more; at the end of
  a pattern for at least one, since a parameter lies below the links on its path;
- everything else stands for itself, brackets too.

A pattern describes whole paths, from the first slash to the end. So does a compiled regular
expression, which is matched with ``fullmatch``.

Parameters of PyTorch's modules have names such as ``encoder.layers.3.weight``: levels are separated
by dots, and nothing stands before the first. All else is the same.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence

from chainrule._names import suggestion

__all__ = ["compile_pattern", "listing", "nearest_paths", "suggestion", "translate"]

Matcher = Callable[[str], bool]


def translate(pattern: str, separator: str = "/") -> str:
    """Write a pattern as a regular expression for ``fullmatch``.

    Args:
        pattern: The pattern.
        separator: What stands between levels. A slash begins a path, too.

    Returns:
        The text of the expression.

    Raises:
        ValueError: If it is no pattern: it does not begin with a slash, has an empty level, or a
            ``**`` that does not stand alone.

    Example:
        >>> translate("/encoder/**/l?/W")
        '/encoder/(?:[^/]+/)*l[^/]/W'
    """
    rooted = separator == "/"
    if rooted and not pattern.startswith("/"):
        raise ValueError(
            f"[rules] a pattern begins with '/': got {pattern!r}, expected {'/' + pattern!r}"
        )
    between = re.escape(separator)
    one = f"[^{between}]"
    levels = pattern[rooted:].split(separator)
    out = "/" if rooted else ""
    for place, level in enumerate(levels):
        last = place == len(levels) - 1
        if level == "**":
            # An earlier ** takes whatever this one could take as well.
            repeated = place > 0 and levels[place - 1] == "**"
            if last:
                out += f"{one}+" if repeated else f"(?:{one}+{between})*{one}+"
            elif not repeated:
                out += f"(?:{one}+{between})*"
            continue
        if not level:
            raise ValueError(f"[rules] an empty level in a pattern: got {pattern!r}")
        if "**" in level:
            raise ValueError(
                f"[rules] '**' stands alone between {'slashes' if rooted else 'dots'}: got "
                f"{pattern!r}, expected {pattern.replace(level, level.replace('**', '*'))!r} or a "
                "level of its own"
            )
        # A level is never empty, so that a star alone takes at least one character.
        out += f"{one}+" if level == "*" else _translate_level(level, one)
        out += "" if last else between
    return out


def _translate_level(level: str, one: str) -> str:
    signs = {"*": f"{one}*", "?": one}
    return "".join(signs.get(sign, re.escape(sign)) for sign in level)


def compile_pattern(pattern: str | re.Pattern[str], separator: str = "/") -> Matcher:
    """Make a function that tells whether a path fits.

    Args:
        pattern: A pattern, or a compiled regular expression.
        separator: What stands between the levels of paths.

    Returns:
        A function of a path.

    Raises:
        TypeError: If it is neither.
        ValueError: If a pattern is malformed.
    """
    if isinstance(pattern, re.Pattern):
        if not isinstance(pattern.pattern, str):
            raise TypeError("[rules] a regular expression of str is needed: got one of bytes")
        return lambda path: pattern.fullmatch(path) is not None
    if not isinstance(pattern, str):
        raise TypeError(
            f"[rules] got {type(pattern).__name__}, expected a path, a pattern, a compiled regular "
            "expression, a Parameter, a Link, a Selection or a list of these"
        )
    expression = re.compile(translate(pattern, separator), re.DOTALL)
    # A name may hold a star itself: a path always describes itself.
    return lambda path: path == pattern or expression.fullmatch(path) is not None


def nearest_paths(pattern: str, paths: Sequence[str]) -> str:
    """Say which paths are like a pattern that fits none.

    Args:
        pattern: The pattern.
        paths: What there is.

    Returns:
        Text to end an error with, such as ``"; nearest: '/l1/W', '/l1/b'"``.
    """
    spelling = {path.lower(): path for path in paths}  # case is the likeliest mistake
    near = [spelling[each] for each in difflib.get_close_matches(pattern.lower(), spelling, 3, 0.5)]
    if near:
        return "; nearest: " + ", ".join(map(repr, near))
    if not paths:
        return "; there are no parameters with a rule"
    return f"; there are {listing(list(map(repr, paths)))}"


def listing(texts: Sequence[str], limit: int = 5) -> str:
    """Write a list that may be long.

    Args:
        texts: What is listed.
        limit: How many are shown.

    Returns:
        Such as ``'/l1/W, /l1/b and 3 more'``.
    """
    more = f" and {len(texts) - limit} more" if len(texts) > limit else ""
    return ", ".join(texts[:limit]) + more
