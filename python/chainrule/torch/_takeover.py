"""From an optimizer of ``torch.optim`` to one of chainrule with the same numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from chainrule.torch._algorithms import Correspondence, class_name, identify, maker, number
from chainrule.torch._facade import Optimizer
from chainrule.torch._foreign import load
from chainrule.torch._names import native_values, torch_values
from chainrule.torch._tensors import named_tensors

__all__ = ["take_over"]


def take_over(model: Any, theirs: torch.optim.Optimizer, disabled_state: str) -> Optimizer:
    """Attach rules that go on where an optimizer of ``torch.optim`` is.

    Args:
        model: The model.
        theirs: The optimizer, with parameters of the model.
        disabled_state: As for :func:`chainrule.torch.attach`.

    Returns:
        The optimizer; parameters that the other one did not have get no rule.

    Raises:
        ValueError: If it has parameters that the model does not have, or options that no rule has.
    """
    cls = class_name(theirs)
    names = {id(tensor): name for name, tensor in reversed(named_tensors(model)[0])}
    saved = theirs.state_dict()
    order: list[str] = []
    kinds: list[Correspondence] = []
    for group, packed in zip(theirs.param_groups, saved["param_groups"], strict=True):
        strangers = [tensor for tensor in group["params"] if id(tensor) not in names]
        if strangers:
            raise ValueError(
                f"[chainrule.torch] attach: {type(theirs).__name__} has a parameter of shape "
                f"{tuple(strangers[0].shape)} that the model does not have"
            )
        order += [names[id(tensor)] for tensor in group["params"]]
        states = [saved["state"].get(n, {}) for n in packed["params"]]
        kinds.append(identify(packed, states, cls, "attach"))
        packed.pop("param_names", None)
    made = {maker(kind): maker(kind)() for kind in kinds}
    optimizer = Optimizer(model, next(iter(made.values())), disabled_state)
    try:
        for group, kind in zip(theirs.param_groups, kinds, strict=True):
            mine = [names[id(tensor)] for tensor in group["params"]]
            other = made[maker(kind)]
            if other is not optimizer.native:
                optimizer.rules[mine].use(other)
        for param in optimizer._params:
            if param.name not in order:
                param.update_rule = None
        optimizer.load_report = load(optimizer, saved, False, order, cls)
        _keep_defaults(optimizer, cls, theirs.defaults)
    except BaseException:
        optimizer.detach()
        raise
    return optimizer


def _keep_defaults(optimizer: Optimizer, cls: str, theirs: Mapping[str, Any]) -> None:
    """Have the values that groups get which are added later, under either's names."""
    values = torch_values(optimizer.native.hyperparam.get_dict())
    optimizer.defaults |= values
    for name, value in theirs.items():
        optimizer.defaults |= native_values(name, value, values) or {}
        optimizer.defaults[name] = number(value)
    optimizer._theirs = cls, tuple(theirs)
