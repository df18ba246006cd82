"""The parameters of a link, each once, with all of its paths."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from chainrule import _core
from chainrule.chain import Chain, ChainList
from chainrule.link import Link
from chainrule.sequential import Sequential
from chainrule.update_rule import UpdateRule

if TYPE_CHECKING:
    from chainrule.variable import Parameter

__all__ = ["Entry", "algorithm_name", "native_name", "walk"]

#: Ways of walking over parameters that tell when the structure changes.
_OUR_WALKS: set[Any] = {cls.namedparams for cls in (Link, Chain, ChainList, Sequential)}


@dataclasses.dataclass(frozen=True, eq=False)
class Entry:
    """One parameter.

    Attributes:
        path: Its path; the first one in the order of ``link.namedparams()``.
        param: The parameter.
        aliases: Its other paths, where it is tied.
    """

    path: str
    param: Parameter
    aliases: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """All paths of the parameter."""
        return (self.path, *self.aliases)

    @property
    def rule(self) -> UpdateRule | None:
        """The present rule of the parameter."""
        rule = self.param.update_rule
        return rule if isinstance(rule, UpdateRule) else None


def _walk(link: Link) -> Iterator[Entry]:
    paths: dict[int, list[str]] = {}
    params: dict[int, Parameter] = {}
    for path, param in link.namedparams():
        paths.setdefault(id(param), []).append(path)
        params[id(param)] = param
    for key, (path, *aliases) in paths.items():
        yield Entry(path, params[key], tuple(aliases))


def walk(link: Link, owner: Any = None) -> Sequence[Entry]:
    """List the parameters of a link in the order of their paths.

    Args:
        link: The link.
        owner: An object on which the list is kept until the structure of any link changes.

    Returns:
        One entry per parameter; a tied one stands where its first path stands.
    """
    version = _core.structure_version()
    kept = None if owner is None else vars(owner).get("_walked")
    if kept is not None and kept[0] == version and kept[1] is link:
        entries: Sequence[Entry] = kept[2]
        return entries
    entries = tuple(_walk(link))
    # A user's own way of walking may change its mind without telling.
    if owner is not None and all(type(part).namedparams in _OUR_WALKS for part in link.links()):
        vars(owner)["_walked"] = (version, link, entries)
    return entries


def algorithm_name(rule: UpdateRule) -> str:
    """Name the algorithm of a rule as tables and plans do.

    Args:
        rule: The rule.

    Returns:
        The name of the built-in optimizer that made it (``'AdamW'``) or of its algorithm, or module
        and name of a user's class.
    """
    return rule._named or native_name(rule)


def native_name(rule: UpdateRule) -> str:
    """Name the algorithm that a rule has in the core.

    Args:
        rule: The rule.

    Returns:
        The name of a built-in algorithm (``'Adam'`` for AdamW), or module and name of a user's
        class.
    """
    cls = type(rule)
    if cls._strict and isinstance(cls._algorithm, str):
        return cls._algorithm
    return f"{cls.__module__}.{cls.__qualname__}"
