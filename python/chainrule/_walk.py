"""The parameters of a link, each once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chainrule.link import Link
    from chainrule.variable import Parameter

__all__ = ["each_param"]


def each_param(link: Link, include_uninit: bool = True) -> Iterator[tuple[str, Parameter]]:
    """Walk over paths and parameters; a tied parameter comes under its first path alone.

    Args:
        link: The link.
        include_uninit: Whether those without an array come, too.

    Yields:
        Path and parameter, in the order of ``link.namedparams()``.

    Example:
        >>> import chainrule
        >>> net = chainrule.Chain(a=chainrule.Link(w=2), b=chainrule.Link(v=3))
        >>> with net.b.init_scope():
        ...     net.b.w = net.a.w
        >>> [path for path, _ in each_param(net)]
        ['/a/w', '/b/v']
    """
    seen: set[int] = set()
    for path, param in link.namedparams(include_uninit):
        if id(param) not in seen:
            seen.add(id(param))
            yield path, param
