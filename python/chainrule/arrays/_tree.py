"""Arrays in dicts and lists, and the paths that they have there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["flatten"]


def _walk(
    tree: Any, prefix: str, op: str, above: tuple[int, ...] = ()
) -> Iterator[tuple[str, Any]]:
    if id(tree) in above:
        raise ValueError(f"[{op}] {prefix}: a dict or list that is inside itself")
    inside = (*above, id(tree))
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            if not isinstance(key, str):
                raise TypeError(
                    f"[{op}] a name below {prefix or '/'!r}: got {key!r}, expected a string"
                )
            if not all(key.split("/")):
                raise ValueError(f"[{op}] a name with an empty level: got {key!r}")
            yield from _walk(value, f"{prefix}/{key}", op, inside)
    elif isinstance(tree, (list, tuple)):
        for index, value in enumerate(tree):
            yield from _walk(value, f"{prefix}/{index}", op, inside)
    else:
        yield prefix, tree


def flatten(tree: Any, op: str) -> dict[str, Any]:
    """List the leaves of nested dicts, lists and tuples by their paths.

    Args:
        tree: Dicts with strings as keys, lists and tuples, in each other; all else is a leaf.
        op: Who asks, for errors.

    Returns:
        Leaves by paths such as ``'/encoder/0/W'``, in the order of the tree.

    Raises:
        TypeError: If the tree is a leaf, or a key no string.
        ValueError: If a key has an empty level, two leaves have the same path, or a dict or list
            is inside itself.

    Example:
        >>> flatten({"a": {"w": 1, "b": 2}, "c": [3]}, "attach")
        {'/a/w': 1, '/a/b': 2, '/c/0': 3}
    """
    if not isinstance(tree, (Mapping, list, tuple)):
        raise TypeError(f"[{op}] got {type(tree).__name__}, expected a dict or list of arrays")
    found: dict[str, Any] = {}
    for path, leaf in _walk(tree, "", op):
        if path in found:
            raise ValueError(f"[{op}] {path}: two arrays have this path")
        found[path] = leaf
    return found
