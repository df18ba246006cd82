"""Taking what a model has now, after parameters came, went or were replaced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from chainrule import _core
from chainrule.torch._moves import follow, predecessors
from chainrule.torch._parameter import TensorParameter, layout_of
from chainrule.torch._state import start_anew
from chainrule.torch._tensors import bind
from chainrule.update_rule import UpdateRule

if TYPE_CHECKING:
    from chainrule.torch._facade import Optimizer

__all__ = ["rebind"]


def rebind(
    optimizer: Optimizer,
    more: dict[str, torch.nn.Parameter],
    given: Mapping[int, UpdateRule] | None = None,
) -> None:
    """Have an optimizer update what its model has now; or change nothing and raise.

    Args:
        optimizer: The optimizer.
        more: Parameters beside those of the model, by name.
        given: Rules that parameters get, by the ids of their tensors. Others keep theirs; one that
            had none has none, and new ones get new rules.

    Raises:
        TypeError: Or ValueError, or RuntimeError, as :func:`chainrule.torch.attach`.
    """
    before = optimizer._link.named
    model: Any = optimizer._link.model
    if model is None:
        model = {name: param.tensor for name, param in before.items()}
    link, tensors = bind(model, {id(p.tensor): p for p in optimizer._params}, more)
    kept = predecessors(link.named, before)
    rules: dict[TensorParameter, Any] = {}
    for param in link.named.values():
        if given is not None and id(param.tensor) in given:
            rules[param] = given[id(param.tensor)]
        elif param in kept:
            rules[param] = kept[param].update_rule
        elif param not in rules:
            rules[param] = optimizer.native._new_rule()
    follow(kept)
    for param in optimizer._params:
        if param not in rules:
            param._release()
    for param, rule in rules.items():
        _go_on(param, kept.get(param), rule)
    for name, param in reversed(link.named.items()):
        param.name = name
    optimizer._more = more
    optimizer._take(link, tensors)
    optimizer._groups.follow({old: param for param, old in kept.items() if param is not old})
    for param in optimizer._params:
        param._register()
    optimizer.native.target = link
    _core.structure_changed()


def _go_on(param: TensorParameter, old: TensorParameter | None, rule: Any) -> None:
    layout = layout_of(param.tensor)
    if old is not None and old._layout | {"device": None} != layout | {"device": None}:
        start_anew(rule)
    param._layout = layout
    if param is not old or param.update_rule is not rule:
        param._begin(rule)
