"""The parameters of a link, each once."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from chainrule._names import listed
from chainrule.configuration import config

if TYPE_CHECKING:
    from chainrule.link import Link
    from chainrule.variable import Parameter

__all__ = ["each_param", "warn_of_new"]


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


def warn_of_new(without: Sequence[tuple[str, Parameter]]) -> None:
    """Warn of parameters that have joined since an optimizer was set up.

    Where somebody has taken a rule away, it is meant; and Chainer says nothing.

    Args:
        without: Parameters without a rule, with their paths.
    """
    new = [path for path, param in without if "_update_rule" not in vars(param)]
    if not new or config.chainer_semantics:
        return
    warnings.warn(
        "[update] not updated, because they have joined since setup and have no update rule: "
        f"{listed(new)}; give each one, param.update_rule = optimizer.create_update_rule(), or "
        "None if it is meant",
        stacklevel=4,
    )
